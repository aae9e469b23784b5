"""Opening hours: spans of each day of the week in a time zone, and dates on which it is closed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
_LOOKS_AHEAD_DAYS = 367
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_DAY = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?", re.ASCII)

Span = tuple[int, int]
"""Minutes after midnight of the begin and of the end, which is not part of the span."""


def span(text: str) -> Span:
    """A span such as ``08:00-12:00``. Raises ``ValueError`` with a sentence.

    Up to ``24:00``; one that ends earlier than it begins goes on after midnight.

    >>> span("08:00-12:00"), span("22:00-06:00")
    ((480, 720), (1320, 1800))
    """
    found = _SPAN.fullmatch(text)
    begin, end = (
        (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4]))
        if (found)
        else (0, 0)
    )
    if begin == end or end > MINUTES_A_DAY:
        raise ValueError(f"“{text}” is no span of hours. Write it such as 08:00-12:00.")
    return begin, end if end > begin else end + MINUTES_A_DAY


def days(text: str) -> tuple[int, ...]:
    """The days (0 is Monday) of a key such as ``mon-fri`` or ``sat``. Raises ``ValueError``.

    >>> days("mon-fri"), days("sat-mon"), days("sun")
    ((0, 1, 2, 3, 4), (5, 6, 0), (6,))
    """
    found = _DAY.fullmatch(text)
    if found is None:
        raise ValueError(f"“{text}” names no days. Write them such as mon-fri, or sat.")
    first = DAYS.index(found[1])
    count = (DAYS.index(found[2]) - first) % 7 + 1 if found[2] else 1
    return tuple((first + n) % 7 for n in range(count))


@dataclass(frozen=True)
class OpeningHours:
    """When somebody is there: ``spans`` of each day of the week, from Monday, in ``time_zone``.

    A span belongs to the day on which it begins. All of a date in ``closed`` is closed, also the
    rest of a span that began the day before.
    """

    time_zone: str
    spans: tuple[tuple[Span, ...], ...]
    closed: frozenset[date] = frozenset()

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def is_open(self, at: float) -> bool:
        """Whether it is open at a time (seconds since 1970).

        What the clock on the wall shows counts. So when clocks are set back, a span that has the
        repeated hour is open in both; when they are set forward, it is shorter.

        >>> hours = OpeningHours("UTC", (((0, 60),),) * 7)
        >>> hours.is_open(3599.0), hours.is_open(3600.0)
        (True, False)
        """
        local = datetime.fromtimestamp(at, self._zone)
        today, minute = local.date(), local.hour * 60 + local.minute
        if today in self.closed:
            return False
        yesterday = today - timedelta(days=1)
        return _is_in(minute, self.spans[today.weekday()]) or (
            yesterday not in self.closed
            and _is_in(minute + MINUTES_A_DAY, self.spans[yesterday.weekday()])
        )

    def next_open(self, at: float) -> float:
        """The first time from ``at`` on at which it is open (seconds since 1970).

        Raises ``ValueError`` where it is closed for more than a year.

        >>> OpeningHours("UTC", (((60, 120),),) * 7).next_open(7200.0)
        90000.0
        """
        if self.is_open(at):
            return at
        day = datetime.fromtimestamp(at, self._zone).date()
        for _ in range(_LOOKS_AHEAD_DAYS):
            midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
            begins = [midnight + timedelta(minutes=begin) for begin, _ in self.spans[day.weekday()]]
            for begin in (one.timestamp() for one in begins):
                if begin > at and self.is_open(begin):
                    return begin
            day += timedelta(days=1)
        raise ValueError("It is closed for more than a year.")

    def wall_clock_text(self, at: float) -> str:
        """What the clock on the wall shows at a time, such as ``09:00``."""
        return datetime.fromtimestamp(at, self._zone).strftime("%H:%M")

    def is_holiday(self, at: float) -> bool:
        """Whether a time (seconds since 1970) is on one of the dates in ``closed``."""
        return datetime.fromtimestamp(at, self._zone).date() in self.closed


def opening_hours(
    time_zone: str, by_days: Mapping[str, Sequence[str]], closed: Sequence[str] = ()
) -> OpeningHours:
    """Opening hours as they are written: texts of ``span`` by texts of ``days``, ISO dates.

    Raises ``ValueError`` with a sentence.
    """
    spans: dict[int, tuple[Span, ...]] = {}
    for written, texts in by_days.items():
        for day in days(written):
            if day in spans:
                raise ValueError(f"{DAYS[day]} stands there twice. Write all its spans together.")
            spans[day] = tuple(sorted(map(span, texts)))
    return OpeningHours(
        time_zone,
        tuple(spans.get(day, ()) for day in range(7)),
        frozenset(map(date.fromisoformat, closed)),
    )


def _is_in(minute: int, spans: Sequence[Span]) -> bool:
    return any(begin <= minute < end for begin, end in spans)

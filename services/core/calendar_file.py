"""Calendar files (iCalendar, ``.ics``, RFC 5545): reading the events of a file.

What calendars of public holidays have is read: dates, times with a time zone, durations, yearly
repetition (``yearly_rule``), exceptions. An event that cannot be read is named, never guessed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.core.yearly_rule import Spend, YearlyRule, cut, yearly_rule

MOST_BYTES = 1_000_000
MOST_EVENTS = 2000
MOST_STEPS = 500_000  # to find the dates of a file; a file of 2,000 yearly holidays needs 60,000
MOST_STEPS_OF_EVENT = 20_000
MOST_TITLES = 200  # characters of the titles of one date
FIRST_YEAR = 1900
MIDNIGHT = time()
_FOLDED = re.compile(rb"\r?\n[ \t]")  # before decoding: a fold may divide a character
_PARAMETER = r'[A-Za-z0-9-]+=(?:"[^"]*"|[^";:]*)'
_LINE = re.compile(rf"([A-Za-z0-9-]+)((?:;{_PARAMETER})*):(.*)", re.ASCII)
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d{8})T(\d\d)(\d\d)(\d\d)(Z?)", re.ASCII)
_DURATION = re.compile(
    r"\+?P(?:(\d{1,4})W|(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,5})S)?)?)",
    re.ASCII,
)
_ESCAPED = re.compile(r"\\([\\;,nN])")

Property = tuple[Mapping[str, str], str]
"""The parameters and the value of a property."""


@dataclass(frozen=True, slots=True)
class ClosedDates:
    """The whole days of a calendar: their titles by date, and sentences about what is left out."""

    titles: Mapping[date, str]
    left_out: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Event:
    """An event of whole days: ``dates`` are the days on which it begins."""

    begin: date
    days: int
    rule: YearlyRule | None
    more: frozenset[date]
    but: frozenset[date]

    def dates(self, first: date, last: date, spend: Spend) -> Iterator[date]:
        """The dates of the event from ``first`` to ``last``. Raises ``ValueError`` by ``spend``."""
        begins = {self.begin, *self.more}
        if self.rule is not None:
            earliest = date.fromordinal(max(1, first.toordinal() - self.days))
            begins.update(self.rule.dates(self.begin, earliest, last, spend))
        spend(len(begins))
        for begin in begins - self.but:
            for day in range(max(0, (first - begin).days), self.days):
                if begin + timedelta(day) > last:
                    break
                spend(1)
                yield begin + timedelta(day)


class _Work:
    """Counts the steps that the events of a file need."""

    def __init__(self) -> None:
        self._left = MOST_STEPS
        self._left_of_event = 0

    def begin_event(self) -> None:
        self._left_of_event = MOST_STEPS_OF_EVENT

    def spend(self, steps: int) -> None:
        """Count steps. Raises ``ValueError`` where the event, or the file, needs too many."""
        if steps > self._left_of_event:
            raise ValueError("it has too many dates.")
        if steps > self._left:
            raise ValueError("the events before it have too many dates. Divide the file.")
        self._left_of_event -= steps
        self._left -= steps


def closed_dates(content: bytes, time_zone: str, first: date, last: date) -> ClosedDates:
    """The dates from ``first`` to ``last`` that the events of a calendar file cover as whole days.

    An event with times counts if it lasts from midnight to midnight in ``time_zone``. Raises
    ``ValueError`` with a sentence for a file that is no calendar.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"A calendar file has up to {MOST_BYTES // 1_000_000} MB.")
    events = list(_events(content))
    if len(events) > MOST_EVENTS:
        raise ValueError(f"It has more than {MOST_EVENTS:,} events. Divide it.")
    zone = ZoneInfo(time_zone)
    titles: dict[date, str] = {}
    left_out: list[str] = []
    replaced = _replaced(events, zone)
    work = _Work()
    for event in events:
        title = _title(event)
        work.begin_event()
        try:
            read = _event(event, zone, frozenset(replaced.get(_value(event, "UID"), ())))
            days = list(read.dates(first, last, work.spend))
        except ValueError as error:
            written = cut(_value(event, "DTSTART")) or "no date"
            left_out.append(f"“{title}” ({written}): {error}")
            continue
        for day in days:
            titles[day] = _with_title(titles.get(day), title)
    return ClosedDates(dict(sorted(titles.items())), left_out)


def _with_title(known: str | None, title: str) -> str:
    """The titles of a date, with one more unless the list is full."""
    if known in (None, title):
        return title
    return f"{known}, {title}" if len(f"{known}, {title}") <= MOST_TITLES else str(known)


def _events(content: bytes) -> Iterator[dict[str, list[Property]]]:
    """The properties of each event by name. Raises ``ValueError`` for what is no calendar."""
    text = _FOLDED.sub(b"", content).decode("utf-8-sig", "replace")
    inside: list[str] = []
    event: dict[str, list[Property]] = {}
    calendars = 0
    for line in text.split("\n"):  # not at U+2028, which may stand in a title
        found = _LINE.fullmatch(line.strip())
        if found is None:
            continue  # what is no property has no date
        name, value = found[1].upper(), found[3]
        if name == "BEGIN":
            inside.append(value.upper())
            calendars += inside == ["VCALENDAR"]
            event = {} if inside[-1] == "VEVENT" else event
        elif name == "END":
            if not inside or inside.pop() != value.upper():
                raise ValueError("It is no calendar file that can be read: its parts do not end.")
            if value.upper() == "VEVENT":
                yield event
        elif inside[-1:] == ["VEVENT"]:  # not an alarm inside of it
            event.setdefault(name, []).append((_parameters(found[2]), value))
    if not calendars or inside:
        raise ValueError("It is no calendar file (.ics), or not all of one.")


def _parameters(text: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in re.findall(rf";({_PARAMETER})", text))
    return {name.upper(): value.strip('"') for name, _, value in pairs}


def _event(
    event: Mapping[str, list[Property]], zone: ZoneInfo, replaced: frozenset[date]
) -> _Event:
    """An event of whole days. Raises ``ValueError`` with the reason why it is none."""
    if _value(event, "STATUS").upper() == "CANCELLED":
        raise ValueError("it is cancelled.")
    if "DTSTART" not in event:
        raise ValueError("it has no DTSTART.")
    begin = _moment(*event["DTSTART"][0], zone)
    end = _end(event, begin, zone)
    if isinstance(begin, datetime) or isinstance(end, datetime):
        begin, end = _whole_days(begin, end, zone)
    if begin.year < FIRST_YEAR:
        raise ValueError(f"it begins before {FIRST_YEAR}.")
    is_single = "RECURRENCE-ID" in event
    if is_single and "RANGE" in event["RECURRENCE-ID"][0][0]:
        raise ValueError("it changes all later repetitions (RANGE), which is not read.")
    rules = [] if is_single else event.get("RRULE", [])
    if len(rules) > 1:
        raise ValueError("it has several RRULE.")
    rule = None
    if rules:
        rule = yearly_rule(rules[0][1], lambda until: _day(_moment({}, until, zone), zone))
    return _Event(
        begin,
        max(1, (end - begin).days),
        rule,
        frozenset() if is_single else _days(event, "RDATE", zone),
        frozenset() if is_single else _days(event, "EXDATE", zone) | replaced,
    )


def _end(event: Mapping[str, list[Property]], begin: date, zone: ZoneInfo) -> date:
    if "DTEND" in event:
        return _moment(*event["DTEND"][0], zone)
    if "DURATION" not in event:
        return begin if isinstance(begin, datetime) else _later(begin, timedelta(1))
    found = _DURATION.fullmatch(_value(event, "DURATION"))
    if found is None or not any(found.groups()):
        raise ValueError("its DURATION cannot be read.")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return _later(begin, timedelta(days, seconds, 0, 0, minutes, hours, weeks))


def _later(begin: date, by: timedelta) -> date:
    try:
        return begin + by
    except OverflowError:
        raise ValueError("it ends after the year 9999.") from None


def _whole_days(begin: date, end: date, zone: ZoneInfo) -> tuple[date, date]:
    if isinstance(begin, datetime) and isinstance(end, datetime):
        begin, end = _local(begin, zone), _local(end, zone)
        if begin.time() == end.time() == MIDNIGHT and begin.date() < end.date():
            return begin.date(), end.date()
    raise ValueError(f"it does not last whole days in {zone.key}.")


def _moment(parameters: Mapping[str, str], value: str, zone: ZoneInfo) -> date:
    """A date, or a time with its zone; one without a zone is local. Raises ``ValueError``."""
    own = _zone(parameters["TZID"]) if "TZID" in parameters else zone
    try:
        if is_date := _DATE.fullmatch(value):
            return date(*map(int, is_date.groups()))
        found = _TIME.fullmatch(value)
        if found is None:
            raise ValueError
        own = ZoneInfo("UTC") if found[5] else own
        hour, minute, second = map(int, found.groups()[1:4])
        return datetime.combine(_moment({}, found[1], zone), time(hour, minute, second), own)
    except ValueError:
        raise ValueError(f"“{cut(value)}” is no date or time.") from None


def _zone(written: str) -> ZoneInfo:
    """A time zone by its name. Raises ``ValueError``, also for a file that is no zone."""
    try:
        return ZoneInfo(written.lstrip("/"))
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(f"the time zone “{cut(written)}” is not known.") from None


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A time in a zone. What would leave the years 1 to 9999 keeps its date: it means “never”."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.replace(tzinfo=zone)


def _day(moment: date, zone: ZoneInfo) -> date:
    return _local(moment, zone).date() if isinstance(moment, datetime) else moment


def _days(event: Mapping[str, list[Property]], name: str, zone: ZoneInfo) -> frozenset[date]:
    """The local dates of a property with lists of dates. Raises ``ValueError``."""
    return frozenset(
        _day(_moment(parameters, one, zone), zone)
        for parameters, value in event.get(name, [])
        for one in value.split(",")
    )


def _replaced(
    events: Sequence[Mapping[str, list[Property]]], zone: ZoneInfo
) -> dict[str, set[date]]:
    """The dates of repeated events that an event with their UID stands for instead."""
    found: dict[str, set[date]] = {}
    for event in events:
        for parameters, value in event.get("RECURRENCE-ID", [])[:1]:
            if "RANGE" in parameters:
                continue
            dates = found.setdefault(_value(event, "UID"), set())
            try:
                dates.add(_day(_moment(parameters, value, zone), zone))
            except ValueError:
                continue  # the date of the repeated event stays closed
    return found


def _value(event: Mapping[str, list[Property]], name: str) -> str:
    return event[name][0][1] if name in event else ""


def _title(event: Mapping[str, list[Property]]) -> str:
    written = _ESCAPED.sub(
        lambda found: " " if found[1] in "nN" else found[1], _value(event, "SUMMARY")
    )
    return " ".join(written.split())[:80] or "No title"

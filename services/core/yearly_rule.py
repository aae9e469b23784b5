"""Yearly repetition (RFC 5545 §3.3.10, ``RRULE:FREQ=YEARLY``): the dates of holidays."""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKDAY = re.compile(rf"([+-]?[1-9]\d?)?({'|'.join(_WEEKDAYS)})", re.ASCII)
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY", "WKST"}
_MOST_SHOWN = 60  # characters of a text of a file, in an error
_MOST_LISTED = 366  # a year has no more days

Spend = Callable[[int], None]
"""Counts steps of work; raises ``ValueError`` with a reason where there are too many."""


def unlimited(steps: int) -> None:
    """A ``Spend`` without a limit."""


@dataclass(frozen=True, slots=True)
class YearlyRule:
    """A yearly repetition; empty parts are those of the date on which it begins.

    ``weekdays`` are (which one, counted from the end if negative, 0 for each; weekday from Monday).
    """

    interval: int = 1
    count: int | None = None
    until: date | None = None
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()

    def dates(
        self, begin: date, first: date, last: date, spend: Spend = unlimited
    ) -> Iterator[date]:
        """The dates from ``first`` to ``last`` of a repetition whose first date is ``begin``."""
        number = 0
        end = last if self.until is None else min(last, self.until)
        for year in range(self._first_year(begin, first), end.year + 1, self.interval):
            spend(self._steps)
            of_year = set(self._of_year(year, begin))
            spend(len(of_year))
            for day in sorted(of_year | {begin} if year == begin.year else of_year):
                if day < begin:
                    continue
                number += 1
                if day > end or (self.count is not None and number > self.count):
                    return
                if day >= first:
                    yield day

    def _first_year(self, begin: date, first: date) -> int:
        """The year from which on dates are made: near ``first``, but all of them are counted."""
        if self.count is not None or first <= begin:
            return begin.year
        return begin.year + (first.year - begin.year) // self.interval * self.interval

    @property
    def _steps(self) -> int:
        """About how much work the dates of one year are."""
        months = len(self.months) or (12 if self.month_days else 1)
        return months * max(len(self.month_days), len(self.weekdays), 1)

    def _of_year(self, year: int, begin: date) -> Iterator[date]:
        if self.weekdays and not self.months and not self.month_days:
            yield from self._weekdays(date(year, 1, 1), date(year, 12, 31))
            return
        every_month = () if self.month_days else (begin.month,)
        for month in self.months or every_month or range(1, 13):
            days = monthrange(year, month)[1]
            if self.weekdays and not self.month_days:
                yield from self._weekdays(date(year, month, 1), date(year, month, days))
                continue
            for written in self.month_days or (begin.day,):
                day = written if written > 0 else days + 1 + written
                if not 1 <= day <= days:
                    continue
                found = date(year, month, day)
                if not self.weekdays or (0, found.weekday()) in self.weekdays:
                    yield found

    def _weekdays(self, first: date, last: date) -> Iterator[date]:
        """The weekdays of a month or year from ``first`` to ``last``."""
        for which, weekday in self.weekdays:
            offset = (weekday - first.weekday()) % 7
            all_days = range(offset, (last - first).days + 1, 7)
            if which == 0:
                yield from (first + timedelta(day) for day in all_days)
            elif -len(all_days) <= which <= len(all_days):
                yield first + timedelta(all_days[which - 1 if which > 0 else which])


def yearly_rule(text: str, until: Callable[[str], date]) -> YearlyRule:
    """A rule as it is written; ``until`` reads its end. Raises ``ValueError`` with a reason."""
    pairs = [one.partition("=") for one in text.upper().strip(";").split(";")]
    parts = {name: value for name, _, value in pairs}
    try:
        if parts.get("FREQ") != "YEARLY" or parts.keys() - _PARTS or len(parts) < len(pairs):
            raise ValueError
        rule = YearlyRule(
            interval=int(parts.get("INTERVAL", 1)),
            count=int(parts["COUNT"]) if "COUNT" in parts else None,
            until=until(parts["UNTIL"]) if "UNTIL" in parts else None,
            months=_numbers(parts.get("BYMONTH"), 1, 12),
            month_days=_numbers(parts.get("BYMONTHDAY"), -31, 31),
            weekdays=tuple(dict.fromkeys(map(_weekday, _list(parts.get("BYDAY"))))),
        )
        is_counted = any(which for which, _ in rule.weekdays)
        if rule.interval < 1 or (rule.count or 1) < 1 or (is_counted and rule.month_days):
            raise ValueError
    except ValueError:
        raise ValueError(f"it repeats in a way that is not read ({cut(text)}).") from None
    return rule


def cut(text: str) -> str:
    """The beginning of a text of a file, for an error.

    >>> cut("x" * 61) == "x" * 60 + "…"
    True
    """
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _list(text: str | None) -> list[str]:
    """The parts of a list, each once. Raises ``ValueError`` for too many."""
    parts = list(dict.fromkeys(text.split(","))) if text is not None else []
    if len(parts) > _MOST_LISTED:
        raise ValueError
    return parts


def _numbers(text: str | None, least: int, most: int) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(map(int, _list(text))))
    if any(not least <= number <= most or number == 0 for number in found):
        raise ValueError
    return found


def _weekday(text: str) -> tuple[int, int]:
    found = _WEEKDAY.fullmatch(text)
    if found is None:
        raise ValueError
    return int(found[1] or 0), _WEEKDAYS.index(found[2])

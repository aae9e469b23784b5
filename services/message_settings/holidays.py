"""Holidays of a calendar file (.ics) as closed dates of opening hours in Message Settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.core.calendar_file import closed_dates
from services.core.errors import SettingsError
from services.message_settings.rules_reader import unknown_name
from services.message_settings.rules_schema import MOST_NAMED
from services.message_settings.settings import MessageSettings

YEARS = 3
MOST_YEARS = 10


@dataclass(frozen=True, slots=True)
class HolidayPlan:
    """What an import of holidays changes.

    ``sections`` are the rules and hours after it, for ``MessageSettings.put_sections`` with
    ``generation``. ``titles`` has the holidays by date, ``new`` those that were not closed before.
    ``left_out`` says what of the calendar is not a closed date.
    """

    sections: Mapping[str, Any]
    generation: str
    hours: str
    titles: Mapping[date, str]
    new: Sequence[date]
    left_out: Sequence[str]


def plan_holidays(
    settings: MessageSettings,
    hours: str,
    content: bytes,
    *,
    years: int = YEARS,
    replace: bool = False,
    today: date | None = None,
) -> HolidayPlan:
    """Plan the import of a calendar file into the hours of a name.

    Dates from ``today`` to the end of the last of ``years`` years are taken, this year being the
    first. With ``replace`` the dates that were closed before are removed. Raises ``SettingsError``.
    """
    generation, rules, sections = settings.generation, settings.rules, settings.rule_sections
    if hours not in rules.hours:
        raise SettingsError(unknown_name("hours", hours, rules.hours), "hours")
    zone = rules.hours[hours].time_zone
    first = today or datetime.now(ZoneInfo(zone)).date()
    last = date(first.year + years - 1, 12, 31)
    try:
        found = closed_dates(content, zone, first, last)
    except ValueError as error:
        raise SettingsError(str(error), "file") from None
    if not found.titles:
        raise SettingsError(f"It has no holiday from {first} to {last}.", "file")
    before = set() if replace else rules.hours[hours].closed
    closed = sorted({*before, *found.titles})
    if len(closed) > MOST_NAMED:
        raise SettingsError(
            f"The hours “{hours}” would have {len(closed)} closed dates, more than {MOST_NAMED}. "
            "Import fewer years, or replace the dates before.",
            "file",
        )
    changed = {**sections["hours"][hours], "closed": [day.isoformat() for day in closed]}
    return HolidayPlan(
        {**sections, "hours": {**sections["hours"], hours: changed}},
        generation,
        hours,
        found.titles,
        [day for day in found.titles if day not in rules.hours[hours].closed],
        found.left_out,
    )

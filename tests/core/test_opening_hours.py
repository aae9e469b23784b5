"""Opening hours: several spans a day, closed dates, both days on which clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from services.core.opening_hours import OpeningHours, opening_hours

OFFICE = opening_hours(
    "America/New_York",
    {"mon-fri": ["08:00-12:00", "13:00-17:00"], "sat": ["09:00-12:00"]},
    ["2026-12-25"],
)
NIGHT = opening_hours("America/New_York", {"fri-sun": ["22:00-06:00"]}, ["2026-12-26"])


def at(text: str, zone: str = "America/New_York") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("hours", "when", "is_open"),
    [
        (OFFICE, "2026-11-30 07:59:59", False),
        (OFFICE, "2026-11-30 08:00", True),
        (OFFICE, "2026-11-30 11:59:59", True),
        (OFFICE, "2026-11-30 12:00", False),
        (OFFICE, "2026-11-30 12:30", False),
        (OFFICE, "2026-11-30 13:00", True),
        (OFFICE, "2026-11-30 17:00", False),
        (OFFICE, "2026-12-05 09:30", True),
        (OFFICE, "2026-12-05 13:30", False),
        (OFFICE, "2026-12-06 10:00", False),
        (OFFICE, "2026-12-25 10:00", False),
        (OFFICE, "2026-12-24 10:00", True),
        (NIGHT, "2026-12-04 21:59", False),
        (NIGHT, "2026-12-04 22:00", True),
        (NIGHT, "2026-12-05 05:59", True),
        (NIGHT, "2026-12-05 06:00", False),
        (NIGHT, "2026-12-07 05:00", True),  # Sunday's span, on Monday
        (NIGHT, "2026-12-08 05:00", False),
        (NIGHT, "2026-12-26 01:00", False),  # the rest of Friday's span is on a closed date
        (NIGHT, "2026-12-26 23:00", False),
        (NIGHT, "2026-12-27 01:00", False),  # Saturday was closed, and so is its night
        (NIGHT, "2026-12-27 22:00", True),
    ],
)
def test_a_time_is_inside_or_outside(hours: OpeningHours, when: str, is_open: bool) -> None:
    assert hours.is_open(at(when)) is is_open


EARLY = opening_hours("America/New_York", {"sun": ["00:30-01:30", "02:15-03:30"]})
BERLIN = opening_hours("Europe/Berlin", {"sun": ["02:00-03:00"]})


@pytest.mark.parametrize(
    ("hours", "utc", "is_open"),
    [
        # In New York 01:59 is followed by 03:00 on 8 March 2026.
        (EARLY, "2026-03-08 05:29", False),  # 00:29
        (EARLY, "2026-03-08 05:30", True),  # 00:30
        (EARLY, "2026-03-08 06:29", True),  # 01:29
        (EARLY, "2026-03-08 06:30", False),  # 01:30
        (EARLY, "2026-03-08 06:59", False),  # 01:59
        (EARLY, "2026-03-08 07:00", True),  # 03:00: 02:15 has been skipped
        (EARLY, "2026-03-08 07:29", True),  # 03:29
        (EARLY, "2026-03-08 07:30", False),  # 03:30
        # 01:59 is followed by 01:00 on 1 November 2026.
        (EARLY, "2026-11-01 04:30", True),  # 00:30
        (EARLY, "2026-11-01 05:29", True),  # 01:29, for the first time
        (EARLY, "2026-11-01 05:30", False),  # 01:30, for the first time
        (EARLY, "2026-11-01 06:00", True),  # 01:00, for the second time
        (EARLY, "2026-11-01 06:29", True),  # 01:29, for the second time
        (EARLY, "2026-11-01 06:30", False),  # 01:30, for the second time
        (EARLY, "2026-11-01 07:15", True),  # 02:15
        # In Berlin 01:59 is followed by 03:00 on 29 March, 02:59 by 02:00 on 25 October 2026.
        (BERLIN, "2026-03-29 00:59", False),  # 01:59
        (BERLIN, "2026-03-29 01:00", False),  # 03:00: the span is not on this day
        (BERLIN, "2026-10-24 23:59", False),  # 01:59
        (BERLIN, "2026-10-25 00:00", True),  # 02:00, for the first time
        (BERLIN, "2026-10-25 01:59", True),  # 02:59, for the second time
        (BERLIN, "2026-10-25 02:00", False),  # 03:00
    ],
)
def test_hours_on_the_days_when_clocks_change(hours: OpeningHours, utc: str, is_open: bool) -> None:
    assert hours.is_open(at(utc, "UTC")) is is_open


@pytest.mark.parametrize(
    ("days", "closed", "complaint"),
    [
        ({"daily": ["08:00-12:00"]}, [], "names no days"),
        ({"mon": ["8-12"]}, [], "no span of hours"),
        ({"mon": ["08:00-24:30"]}, [], "no span of hours"),
        ({"mon": ["08:00-08:00"]}, [], "no span of hours"),
        ({"mon-fri": ["08:00-12:00"], "wed": ["08:00-10:00"]}, [], "wed stands there twice"),
        ({}, ["25.12.2026"], "Invalid isoformat"),
    ],
)
def test_hours_that_are_written_wrong(
    days: dict[str, list[str]], closed: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        opening_hours("UTC", days, closed)


def test_a_closed_date_is_a_holiday_in_its_own_time_zone() -> None:
    assert OFFICE.is_holiday(at("2026-12-25 05:00", "UTC"))  # 00:00 in New York
    assert not OFFICE.is_holiday(at("2026-12-25 04:59", "UTC"))
    assert OFFICE.is_holiday(at("2026-12-26 04:59", "UTC"))

"""Recipient's hours: states, weekends, days on which clocks change, several zones, groups."""

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest

from services.config.parsers import country_hours
from services.core.errors import RequestRefused
from services.core.recipient_hours import STATES, RecipientHours
from services.core.us_area_codes import PLACES, ZONES

HOURS = RecipientHours()
EAST, CENTRAL = "America/New_York", "America/Chicago"
# 2026-11-27 is a Friday, -28 a Saturday, -29 a Sunday.
TABLE = [
    # area code, zone of the times, due, sent
    ("202", EAST, "11-27 07:59", "11-27 08:00"),  # the usual hours
    ("202", EAST, "11-27 08:00", "11-27 08:00"),
    ("202", EAST, "11-27 20:59", "11-27 20:59"),
    ("202", EAST, "11-27 21:00", "11-28 08:00"),
    ("202", EAST, "11-27 23:30", "11-28 08:00"),
    ("303", "America/Denver", "11-27 05:00", "11-27 08:00"),
    ("213", "America/Los_Angeles", "11-27 21:00", "11-28 08:00"),
    ("808", "Pacific/Honolulu", "11-27 07:00", "11-27 08:00"),
    ("602", "America/Phoenix", "11-27 07:00", "11-27 08:00"),
    ("787", "America/Puerto_Rico", "11-27 07:00", "11-27 08:00"),
    ("671", "Pacific/Guam", "11-27 21:00", "11-28 08:00"),
    ("305", EAST, "11-27 20:00", "11-28 08:00"),  # Florida
    ("305", EAST, "11-27 19:59", "11-27 19:59"),
    ("410", EAST, "11-27 20:00", "11-28 08:00"),  # Maryland
    ("601", CENTRAL, "11-27 20:00", "11-28 08:00"),  # Mississippi
    ("201", EAST, "11-27 20:00", "11-28 08:00"),  # New Jersey
    ("405", CENTRAL, "11-27 20:00", "11-28 08:00"),  # Oklahoma
    ("203", EAST, "11-27 08:30", "11-27 09:00"),  # Connecticut
    ("203", EAST, "11-27 20:00", "11-28 09:00"),
    ("214", CENTRAL, "11-27 08:30", "11-27 09:00"),  # Texas
    ("214", CENTRAL, "11-28 21:00", "11-29 12:00"),
    ("214", CENTRAL, "11-29 11:59", "11-29 12:00"),
    ("214", CENTRAL, "11-29 20:59", "11-29 20:59"),
    ("401", EAST, "11-27 18:00", "11-28 10:00"),  # Rhode Island
    ("401", EAST, "11-28 09:30", "11-28 10:00"),
    ("401", EAST, "11-29 17:00", "11-30 09:00"),
    ("850", EAST, "11-27 08:30", "11-27 09:00"),  # Florida in both zones: 8:00 in Central
    ("850", EAST, "11-27 20:30", "11-28 09:00"),
    ("423", EAST, "11-27 21:30", "11-28 09:00"),  # Tennessee in both zones
    ("300", EAST, "11-27 10:00", "11-27 14:00"),  # not known: Hawaii from 9:00
    ("300", EAST, "11-27 18:00", "11-28 15:00"),  # Rhode Island until 18:00 and at weekends
    ("300", EAST, "11-28 17:00", "11-30 14:00"),  # Texas on Sundays from 12:00
    ("300", EAST, "11-27 21:00", "11-28 15:00"),
    ("800", EAST, "11-27 03:00", "11-27 03:00"),  # toll-free: nobody's place
]


def at(written: str, zone: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).timestamp()


def sent_at(recipients: list[str], due: float, hours: RecipientHours = HOURS) -> float:
    wait = hours.wait(recipients, due)
    return wait.until if wait is not None else due


@pytest.mark.parametrize(("area_code", "zone", "due", "sent"), TABLE)
def test_each_state_has_its_hours(area_code: str, zone: str, due: str, sent: str) -> None:
    found = sent_at([f"+1{area_code}5550143"], at(f"2026-{due}", zone))
    assert found == at(f"2026-{sent}", zone)


@pytest.mark.parametrize("address", ["whatsapp:+12025550143", "rcs:+12025550143"])
def test_other_ways_to_the_same_phone_have_the_same_hours(address: str) -> None:
    assert sent_at([address], at("2026-11-27 07:00", EAST)) == at("2026-11-27 08:00", EAST)


@pytest.mark.parametrize("address", ["72404", "Harbour", "+442071838750", "+14165550143"])
def test_short_codes_names_and_other_countries_are_not_held(address: str) -> None:
    assert HOURS.wait([address], at("2026-11-27 03:00", EAST)) is None


@pytest.mark.parametrize(
    ("due", "sent"),
    [
        ("2026-03-08 01:30", "2026-03-08 08:00"),  # the hour from 2 to 3 is left out
        ("2026-03-07 21:00", "2026-03-08 08:00"),
        ("2026-11-01 01:30", "2026-11-01 08:00"),  # the hour from 1 to 2 comes twice
        ("2026-10-31 23:00", "2026-11-01 08:00"),
    ],
)
def test_on_days_on_which_clocks_change_the_clock_on_the_wall_counts(due: str, sent: str) -> None:
    assert sent_at(["+12025550143"], at(due, EAST)) == at(sent, EAST)


def test_the_reason_names_place_time_and_zone() -> None:
    wait = HOURS.wait(["+12145550143"], at("2026-11-27 03:00", CENTRAL))
    assert wait is not None
    assert wait.reason == "Quiet hours in Texas until 09:00 (America/Chicago)."


def test_in_a_group_it_must_be_allowed_for_everybody() -> None:
    group = ["+12025550143", "+18085550143"]  # New York time and Hawaii, five hours behind
    assert sent_at(group, at("2026-11-27 09:00", EAST)) == at("2026-11-27 13:00", EAST)
    assert sent_at(group, at("2026-11-27 21:30", EAST)) == at("2026-11-28 13:00", EAST)


def test_a_group_without_a_common_time_is_refused() -> None:
    hours = RecipientHours(countries=country_hours("IN 08:00-10:00 Asia/Kolkata"))
    with pytest.raises(RequestRefused, match="one by one") as refused:
        hours.wait(["+12025550143", "+919876543210"], at("2026-11-27 09:00", EAST))
    assert (refused.value.code, refused.value.field) == ("no_common_hours", "to")


def test_other_countries_have_hours_where_they_are_set() -> None:
    countries = country_hours("GB 09:00-20:00 Europe/London, CA 09:00-20:00 America/Toronto")
    hours = RecipientHours(us=False, countries=countries)
    early = at("2026-11-27 08:00", "Europe/London")
    assert sent_at(["+442071838750"], early, hours) == early + 3600
    assert sent_at(["+12025550143"], early, hours) == early
    assert str(countries[0]) == "GB 09:00-20:00 Europe/London"


@pytest.mark.parametrize(
    "written",
    [
        "GB",
        "GB 09:00-20:00",
        "US 09:00-20:00 America/New_York",
        "XX 09:00-20:00 UTC",
        "gb 09:00-20:00 Europe/London",
        "GB 9-20 Europe/London",
        "GB 09:00-20:00 London",
        "GB 09:00-20:00 Europe/London,",
        "GB 09:00-20:00 Europe/London, GB 10:00-20:00 Europe/London",
        "PR 09:00-20:00 America/Puerto_Rico",
        "GU 09:00-20:00 Pacific/Guam",
    ],
)
def test_hours_that_cannot_be_read_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"[.]$"):
        country_hours(written)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("GB 09:00-20:00 Europe/London, GB 10:00-20:00 Europe/London", "GB has two entries"),
        ("CA 09:00-20:00 America/Toronto, VI 09:00-20:00 America/St_Thomas", "VI is a number"),
    ],
)
def test_an_entry_that_would_be_ignored_is_named(written: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        country_hours(written)


@pytest.mark.parametrize("state", sorted({state for state, _ in PLACES.values()}))
def test_an_area_code_that_is_not_known_has_no_hour_that_a_state_has_not(state: str) -> None:
    known = next(code for code, (name, _) in PLACES.items() if name == state)
    week = at("2026-11-23 00:00", EAST)
    if state in OUTSIDE:  # of the states and D.C.
        pytest.skip("a new area code of a territory is not expected")
    for half_hour in range(7 * 48):
        due = week + half_hour * 1800
        if HOURS.wait(["+13005550143"], due) is None:
            assert HOURS.wait([f"+1{known}5550143"], due) is None


OUTSIDE = {"American Samoa", "Guam", "the Northern Mariana Islands"}


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        ("California", "357 837"),
        ("Ohio", "436"),
        ("Louisiana", "457"),
        ("Mississippi", "471"),
        ("Alabama", "483"),
        ("Texas", "621"),
        ("New York", "624"),
        ("Michigan", "679"),
        ("Tennessee", "729"),
        ("Illinois", "861"),
    ],
)
def test_new_area_codes_are_of_their_states(state: str, codes: str) -> None:
    assert {PLACES[code][0] for code in codes.split()} == {state}


def test_the_table_is_whole() -> None:
    assert len({state for state, _ in PLACES.values()}) == 50 + 6  # D.C. and five territories
    assert set(STATES) <= {state for state, _ in PLACES.values()}
    assert set(ZONES.values()) <= available_timezones()
    assert {zone for _, zones in PLACES.values() for zone in zones} == set(ZONES)

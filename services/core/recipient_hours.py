"""Recipient's hours: the times at which a text may be sent to a person, by their place.

The area code of a US number stands for the place. For other countries there are hours only if the
operator sets them (``CountryHours``). Which texts wait for them: ``messaging.send_times``. They are
not ``quiet_hours``, in which a device of ours gets no notifications.

The table of states is of 2026-11 and no legal advice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from services.core.errors import RequestRefused
from services.core.opening_hours import OpeningHours, opening_hours
from services.core.phone_numbers import destination, without_channel
from services.core.us_area_codes import ELSEWHERE, PLACES, ZONES

ByDays = Mapping[str, Sequence[str]]
"""Hours by the days of the week, as ``opening_hours`` takes them."""

USUAL: ByDays = {"mon-sun": ["08:00-21:00"]}
_UNTIL_20: ByDays = {"mon-sun": ["08:00-20:00"]}
STATES: Mapping[str, ByDays] = {
    "Connecticut": {"mon-sun": ["09:00-20:00"]},
    "Florida": _UNTIL_20,
    "Maryland": _UNTIL_20,
    "Mississippi": _UNTIL_20,
    "New Jersey": _UNTIL_20,
    "Oklahoma": _UNTIL_20,
    "Rhode Island": {"mon-fri": ["09:00-18:00"], "sat-sun": ["10:00-17:00"]},
    "Texas": {"mon-sat": ["09:00-21:00"], "sun": ["12:00-21:00"]},
}
"""States with other hours than the usual ones."""

_STRICTEST: ByDays = {"mon-fri": ["09:00-18:00"], "sat": ["10:00-17:00"], "sun": ["12:00-17:00"]}
"""Hours that all states allow, for an area code that is not known."""

UNITED_STATES = frozenset({"US", "PR", "VI", "GU", "MP", "AS"})
"""Countries, by their two letters, whose numbers have the hours of ``STATES``."""

_TOLL_FREE = frozenset({"800", "833", "844", "855", "866", "877", "888"})  # of no place
_ROUNDS = 50  # a group with members far apart: far more than any needs


@dataclass(frozen=True, slots=True)
class CountryHours:
    """Hours of one country that the operator has set: every day the same, in all its ``zones``."""

    country: str
    hours: str
    zones: tuple[str, ...]

    def __str__(self) -> str:
        """The form in ``.env``."""
        return " ".join((self.country, self.hours, *self.zones))


@dataclass(frozen=True, slots=True)
class PlaceHours:
    """The hours of a place in one time zone."""

    place: str
    hours: OpeningHours


@dataclass(frozen=True, slots=True)
class Wait:
    """A text waits for ``until`` (seconds since 1970), because of ``reason`` (a sentence)."""

    until: float
    reason: str


@dataclass(frozen=True)
class RecipientHours:
    """Says when a text may be sent to recipients; ``us``: numbers of the United States as well."""

    us: bool = True
    countries: tuple[CountryHours, ...] = ()

    def wait(self, recipients: Iterable[str], at: float) -> Wait | None:
        """Until when a text that is due ``at`` (seconds since 1970) waits; ``None``: it may go.

        Recipients are addresses of peers. Raises ``RequestRefused`` for a group whose members live
        so far apart that there is no such time.
        """
        places = dict.fromkeys(place for one in recipients for place in self.places(one))
        until, last = at, None
        for _ in range(_ROUNDS):
            closed = next((one for one in places if not one.hours.is_open(until)), None)
            if closed is None:
                return Wait(until, _reason(last, until)) if last is not None else None
            until, last = closed.hours.next_open(until), closed
        raise RequestRefused(
            "no_common_hours",
            "There is no time at which it is not quiet hours for one of these people. Send it to "
            "them one by one.",
            field="to",
        )

    def places(self, address: str) -> tuple[PlaceHours, ...]:
        """The hours that hold for an address, one for each of its time zones; none: any time."""
        number = without_channel(address)
        if not number.startswith("+"):
            return ()
        country = destination(number)
        if country in UNITED_STATES:
            return _us_hours(number[2:5]) if self.us else ()
        found = next((one for one in self.countries if one.country == country), None)
        return _country_hours(found) if found is not None else ()


@lru_cache
def _us_hours(area_code: str) -> tuple[PlaceHours, ...]:
    if area_code in _TOLL_FREE:
        return ()
    state, zones = PLACES.get(area_code, ELSEWHERE)
    by_days = STATES.get(state, USUAL) if area_code in PLACES else _STRICTEST
    return tuple(PlaceHours(state, opening_hours(ZONES[zone], by_days)) for zone in zones)


@lru_cache
def _country_hours(known: CountryHours) -> tuple[PlaceHours, ...]:
    by_days = {"mon-sun": [known.hours]}
    return tuple(PlaceHours(known.country, opening_hours(zone, by_days)) for zone in known.zones)


def _reason(last: PlaceHours, until: float) -> str:
    zone = last.hours.time_zone
    return f"Quiet hours in {last.place} until {last.hours.wall_clock_text(until)} ({zone})."

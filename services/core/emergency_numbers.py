"""Emergency numbers (911, 112, 999, …): whether an address is one, and which to call instead.

A text to one would reach nobody: carriers of business texts do not connect to emergency services.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import phonenumbers
from phonenumbers import shortnumberinfo
from phonenumbers.phonemetadata import PhoneMetadata

from services.core.errors import RequestRefused
from services.core.phone_numbers import typed_digits, visible

# Phones of every country take 112 and 911 for emergency calls (3GPP TS 22.101), and 999 is known
# far beyond the United Kingdom; no country texts to a short code that is one of them.
_EVERYWHERE = ("112", "911", "999")
# What people dial before a number behind a PBX or abroad, and what may follow it. With 8 or 9 only
# ``_EVERYWHERE``, as people dial 9911: other short codes of some countries look alike.
_TRUNKS = ("0", "00", "011", "9")
_OUTSIDE_LINES = ("8", "9")
# Digits of any script, with what people put between them, before and behind them.
_TYPED = re.compile(
    r"(?:(?:tel|sips?|sms|smsto|callto|whatsapp|rcs):(?://)?)?[*#\s]*"
    r"(\+?[\d\s().\u2010-\u2015/-]*\d[\d\s().\u2010-\u2015/-]*)"
    r"(?:[#*,;@].*|(?:x|ext)[.:\s]*\d*)?",
    re.IGNORECASE,
)
_MOST_DIGITS = 9  # of a prefix, a country code and an emergency number


def require_no_emergency(address: str, numbers: Iterable[str], country: str, field: str) -> None:
    """Raise ``RequestRefused`` (``emergency_number``) for an emergency number, as typed or as kept.

    ``numbers`` of ours may send the text, ``country`` is the default one. An address counts if it
    is an emergency number in the country of one of them, also after their country code (+1911).
    """
    call = emergency_call(address, [*map(_country, numbers), country])
    if call is not None:
        raise RequestRefused(
            "emergency_number",
            f"Textbridge cannot send texts to emergency services. Call {call}.",
            field=field,
        )


def emergency_call(address: str, countries: Iterable[str]) -> str | None:
    """The number to call, for an address that is an emergency number in a country; else ``None``.

    >>> emergency_call("1-911", ["US"]), emergency_call("999", ["GB"])
    ('911', '999')
    >>> emergency_call("999", ["US"]), emergency_call("91100", ["US"])
    ('911', None)
    >>> emergency_call("9911", ["US"]), emergency_call("tel:911", ["US"])
    ('911', '911')
    """
    typed = _TYPED.fullmatch(unicodedata.normalize("NFKC", visible(address)).strip())
    number = typed_digits(typed[1]) if typed else None
    if number is None or len(number.removeprefix("+")) > _MOST_DIGITS:
        return None
    known = tuple(dict.fromkeys(countries))
    return _call(number.removeprefix("+"), number.startswith("+"), known)


@lru_cache(maxsize=4096)
def _call(digits: str, has_plus: bool, countries: tuple[str, ...]) -> str | None:
    for country in countries:
        for short in _readings(digits, has_plus, country):
            if shortnumberinfo.is_emergency_number(short, country):
                return short
            if short in _EVERYWHERE:
                return _main_number(country)
        for short in _without_prefix(digits, country):
            if shortnumberinfo.is_emergency_number(short, country):
                return short
    return None


def _without_prefix(digits: str, country: str) -> list[str]:
    """What follows a prefix for an outside line or for abroad, and the country code behind it."""
    code = str(phonenumbers.country_code_for_region(country))
    found = [digits.removeprefix(line) for line in _OUTSIDE_LINES if digits.startswith(line)]
    found = [short for short in found if short in _EVERYWHERE]
    for trunk in _TRUNKS:
        rest = digits.removeprefix(trunk)
        if rest == digits:
            continue
        if trunk.startswith("0"):
            found.append(rest)
        if rest.startswith(code):
            found.append(rest.removeprefix(code))
    return found


def _readings(digits: str, has_plus: bool, country: str) -> list[str]:
    """The digits, and what follows the country code before them.

    Without a plus only a leading 1 is left out, as people of North America type it; in other
    countries such digits may be a short code.
    """
    code = str(phonenumbers.country_code_for_region(country))
    follows = digits.removeprefix(code) if has_plus or code == "1" else digits
    return [digits, *([follows] if follows != digits else [])]


def _main_number(country: str) -> str:
    """The number that people of a country call in an emergency."""
    is_american = phonenumbers.country_code_for_region(country) == 1
    for short in ("911", "112", "999") if is_american else ("112", "911", "999"):
        if shortnumberinfo.is_emergency_number(short, country):
            return short
    known = PhoneMetadata.short_metadata_for_region(country)
    example = known.emergency.example_number if known and known.emergency else None
    return str(example or "112")


def _country(number: str) -> str:
    """The country of a number of ours; of an unknown area code the main one of its country code."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(
        parsed.country_code or 0
    )

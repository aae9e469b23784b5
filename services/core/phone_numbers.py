"""Phone numbers: parsing any usual notation to E.164, formatting, countries of numbers."""

import re
from collections.abc import Callable
from functools import lru_cache

import phonenumbers

from services.core.errors import NumberError, RequestRefused

_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9 &._+-]{1,20}", re.ASCII)
# 976 numbers of the North American Numbering Plan are premium rate.
_NANP_976 = re.compile(r"\+1[0-9]{3}976[0-9]{4}", re.ASCII)
_NANP = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", re.ASCII)
_INTERNATIONAL = re.compile(r"[1-9][0-9]{10,14}", re.ASCII)


@lru_cache(maxsize=4096)  # the same numbers occur again and again
def e164(written: str, country: str) -> str:
    """Parse a phone number in any usual notation to E.164.

    ``country`` (two letters) is assumed for a number without country code. Raises ``NumberError``.

    >>> e164("(202) 555-0143", "US"), e164("1-202-555-0143", "US"), e164("+44 20 7946 0958", "US")
    ('+12025550143', '+12025550143', '+442079460958')
    """
    if _NANP.fullmatch(written):
        return written  # the library takes 29 µs to say the same
    try:
        parsed = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        raise NumberError(
            f"“{written[:40]}” is not a phone number. Write it with its country code, such as "
            "+12025550143."
        ) from None
    if parsed.extension or not phonenumbers.is_possible_number(parsed):
        raise NumberError(
            f"“{written[:40]}” is not a complete phone number. Write it with its country code, "
            "such as +12025550143."
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def peer(written: str, country: str) -> str:
    """A peer's address: a phone number in E.164, a short code, or an alphanumeric sender.

    Short codes are not parsed as numbers: the parser would make +172404 of 72404. Raises
    ``NumberError`` for anything else.

    >>> peer("72404", "US"), peer("MTN", "US"), peer("3035550177", "US"), peer("13035550177", "DE")
    ('72404', 'MTN', '+13035550177', '+13035550177')
    """
    text = written.strip()
    if _SHORT_CODE.fullmatch(text):
        return text
    for candidate in (f"+{text}", text) if _INTERNATIONAL.fullmatch(text) else (text,):
        try:
            return e164(candidate, country)
        except NumberError:
            continue
    if _ALPHANUMERIC.fullmatch(text) and any(character.isalpha() for character in text):
        return text
    raise NumberError(f"“{text[:40]}” is neither a phone number nor a short code nor a name.")


def requested(parse: Callable[[str, str], str], written: str, country: str, field: str = "") -> str:
    """A number of a request, by ``e164`` or ``peer``.

    Raises ``RequestRefused`` (``invalid_number``) that names ``field``.
    """
    try:
        return parse(written, country)
    except NumberError as error:
        raise RequestRefused("invalid_number", str(error), field=field) from None


def is_dialable(address: str) -> bool:
    """Whether a message can be sent to an address: an E.164 number or a short code."""
    return address.startswith("+") or _SHORT_CODE.fullmatch(address) is not None


def international(number: str) -> str:
    """An E.164 number in international notation; other addresses are returned unchanged.

    >>> international("+12025550143"), international("72404")
    ('+1 202-555-0143', '72404')
    """
    if not number.startswith("+"):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def country_of(number: str) -> str | None:
    """The two-letter country of an E.164 number, or ``None`` if it has none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


# Messages to these are domestic for carriers of the United States. The other countries of +1 are
# foreign and expensive, though their numbers look alike.
_NANP_MAINLAND = frozenset({"US", "CA", "PR", "VI"})
# Russia and Kazakhstan share one country code, but messages between them are international.
_SHARED_INTERNATIONALLY = {7}


def is_country(code: str) -> bool:
    """Whether two letters are a country with phone numbers (ISO 3166-1 alpha-2)."""
    return code in phonenumbers.SUPPORTED_REGIONS


def home_countries(country: str) -> frozenset[str]:
    """A country, with the other countries that share its code and count as domestic.

    >>> sorted(home_countries("US")), sorted(home_countries("GB")), sorted(home_countries("DE"))
    (['CA', 'PR', 'US', 'VI'], ['GB', 'GG', 'IM', 'JE'], ['DE'])
    """
    code = phonenumbers.country_code_for_region(country)
    if code == 1:
        return _NANP_MAINLAND | {country}
    if not code or code in _SHARED_INTERNATIONALLY:
        return frozenset({country})
    return frozenset({country, *phonenumbers.region_codes_for_country_code(code)})


@lru_cache(maxsize=4096)
def destination(number: str) -> str:
    """The two-letter country of an E.164 number, for limits on destinations.

    ``premium`` is a premium-rate number, ``001`` a number of no country (such as a satellite
    phone). A number that the library does not know counts as the main country of its country code,
    because new area codes are added every year; the library knows those of the Caribbean.

    >>> destination("+12025550143"), destination("+18765550143"), destination("+19005550143")
    ('US', 'JM', 'premium')
    """
    parsed = phonenumbers.parse(number)
    kind = phonenumbers.number_type(parsed)
    if kind == phonenumbers.PhoneNumberType.PREMIUM_RATE or _NANP_976.fullmatch(number):
        return "premium"
    known = phonenumbers.region_code_for_number(parsed)
    return known or phonenumbers.region_code_for_country_code(parsed.country_code or 0)

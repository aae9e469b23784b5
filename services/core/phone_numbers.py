"""Phone numbers: written any usual way, kept in E.164 (library: phonenumbers)."""

import re
from functools import lru_cache

import phonenumbers

from services.core.errors import NumberError

_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9 &._+-]{1,20}", re.ASCII)
_INFORMATION_LINE = re.compile(r"\+1[0-9]{3}976[0-9]{4}", re.ASCII)  # NANP: at the caller's expense
_INTERNATIONAL = re.compile(r"[1-9][0-9]{10,14}", re.ASCII)


@lru_cache(maxsize=4096)  # the same people write again and again
def e164(written: str, country: str) -> str:
    """A phone number in E.164, whatever way it was written.

    ``country`` (two letters) is assumed for a number without country code. Raises ``NumberError``.

    >>> e164("(202) 555-0143", "US"), e164("1-202-555-0143", "US"), e164("+44 20 7946 0958", "US")
    ('+12025550143', '+12025550143', '+442079460958')
    """
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
    """Somebody else's address: a phone number in E.164, or a short code or a name as it came.

    Short codes are never turned into numbers: a parser would make +172404 of 72404. Raises
    ``NumberError`` for anything that is none of the three.

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


def is_dialable(address: str) -> bool:
    """Whether a text can be sent to an address: an E.164 number or a short code, not a name."""
    return address.startswith("+") or _SHORT_CODE.fullmatch(address) is not None


def international(number: str) -> str:
    """A number in E.164 as people write it; what is none stays as it is.

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
    """The two-letter country of an E.164 number, or ``None`` where it has none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


# To the carriers of the United States texts to these are domestic. The other countries of +1 are
# abroad and dear, though their numbers look alike.
_NANP_MAINLAND = frozenset({"US", "CA", "PR", "VI"})
# One country code, two countries: Russia and Kazakhstan.
_SHARED_BY_STRANGERS = {7}


def is_country(code: str) -> bool:
    """Whether two letters are a country with phone numbers (ISO 3166-1 alpha-2)."""
    return code in phonenumbers.SUPPORTED_REGIONS


def home_countries(country: str) -> frozenset[str]:
    """A country with those that its phone numbers do not set apart.

    >>> sorted(home_countries("US")), sorted(home_countries("GB")), sorted(home_countries("DE"))
    (['CA', 'PR', 'US', 'VI'], ['GB', 'GG', 'IM', 'JE'], ['DE'])
    """
    code = phonenumbers.country_code_for_region(country)
    if code == 1:
        return _NANP_MAINLAND | {country}
    if not code or code in _SHARED_BY_STRANGERS:
        return frozenset({country})
    return frozenset({country, *phonenumbers.region_codes_for_country_code(code)})


@lru_cache(maxsize=4096)
def destination(number: str) -> str:
    """The two-letter country that a text to an E.164 number goes to.

    ``premium`` for one that is called at the caller's expense, ``001`` for one of no country (such
    as a satellite phone). A number that the library does not know is its country code's first
    country's: new area codes come every year, and those of the Caribbean are told by their digits.

    >>> destination("+12025550143"), destination("+18765550143"), destination("+19005550143")
    ('US', 'JM', 'premium')
    """
    parsed = phonenumbers.parse(number)
    kind = phonenumbers.number_type(parsed)
    if kind == phonenumbers.PhoneNumberType.PREMIUM_RATE or _INFORMATION_LINE.fullmatch(number):
        return "premium"
    known = phonenumbers.region_code_for_number(parsed)
    return known or phonenumbers.region_code_for_country_code(parsed.country_code or 0)

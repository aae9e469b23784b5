"""Phone numbers and other addresses: what carriers and people write, in the form that is kept.

Two kinds of writers are read by two rules. A carrier names senders and our own number (``sender``,
``own_number``): a sender is always kept, at worst as the text that came. A person types numbers
(``e164``, ``peer``): they are read by the country of the installation first, and what is not surely
a number is refused with the remedy.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, ValidationResult, shortnumberinfo

from services.core.errors import NumberError, RequestRefused

_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)
_SENT_SHORT_CODE = re.compile(r"[0-9]{3,6}", re.ASCII)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# 976 numbers of the North American Numbering Plan are premium rate.
_NANP_976 = re.compile(r"\+1[0-9]{3}976[0-9]{4}", re.ASCII)
_TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}", re.ASCII)
_NANP = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", re.ASCII)
# Digits of any script, with what people put between them.
_LIKE_A_NUMBER = re.compile(r"\+?[\d\s().\u2010-\u2015/-]*\d[\d\s().\u2010-\u2015/-]*")
# Carriers write other ways to a phone before its number: “whatsapp:+13035550177”.
_CHANNEL = re.compile(r"(whatsapp|rcs):\s*(.+)", re.ASCII | re.IGNORECASE | re.DOTALL)
_BARE_NUMBER = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_CHANNEL_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})", re.ASCII)
CHANNEL_NAMES = {"sms": "SMS", "whatsapp": "WhatsApp", "rcs": "RCS"}

EVERY = "*"  # in place of a number of ours: all of them
MOST_ADDRESS = 100  # characters of an address; the database has indexes of them
_DIGEST = 8  # hexadecimal digits by which a longer one is told from others
UNNAMED = "unknown"  # a sender of which nothing can be seen
# These change the order in which the text around them is shown.
_REORDERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = ("Cf", "Mn", "Zl", "Zp", "Zs")  # categories: nothing is seen of these alone

_EXAMPLE = "Write it with its country code, such as +12025550143."


def sender(written: str, country: str) -> str:
    """The sender of a text, or a member of its group, as a carrier writes it; never raises.

    A text that surely is a phone number becomes E.164, also after ``whatsapp:`` and ``rcs:``. All
    else is kept as it came, in one line of at most ``MOST_ADDRESS`` characters. ``country`` is
    assumed for a number without country code.

    >>> sender("(303) 555-0177", "US"), sender("365Bank", "US"), sender("+72404", "US")
    ('+13035550177', '365Bank', '+72404')
    >>> sender("O'Reilly", "US"), sender("+5215512345678", "US")
    ("O'Reilly", '+525512345678')
    """
    if _NANP.fullmatch(written):
        return written
    text = _tidy(written)
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        return UNNAMED
    return _channel_address(text) or _written_by_carrier(text, country) or text


def with_plus(digits: str) -> str:
    """E.164 for digits that a carrier writes with their country code; all else unchanged.

    Ten digits at most have to be in a range that its country has given out.

    >>> with_plus("13035550177"), with_plus("4792345678"), with_plus("900123456"), with_plus("MTN")
    ('+13035550177', '+4792345678', '900123456', 'MTN')
    """
    if not _BARE_NUMBER.fullmatch(digits):
        return digits
    text = f"+{digits}"
    number = _valid(text, None) or (_possible(text, None) if len(digits) > 10 else None)
    return number or digits


def own_number(written: str, country: str) -> str:
    """Our number in a carrier's call: E.164, also where the text came by WhatsApp or RCS.

    A short code and the id of an RCS agent (``rcs:…``) are returned as they came: Message Settings
    cannot name them, so their texts are unassigned. Raises ``NumberError`` for anything else.

    >>> own_number("whatsapp:+12025550143", "US"), own_number("rcs:harbour_agent", "US")
    ('+12025550143', 'rcs:harbour_agent')
    """
    if _NANP.fullmatch(written):
        return written
    text = _tidy(written)
    channel = _CHANNEL.fullmatch(text)
    number = _written_by_carrier(channel[2] if channel else text, country)
    if number is not None:
        return number
    if channel:
        return f"{channel[1].lower()}:{channel[2]}"
    if _SHORT_CODE.fullmatch(text):
        return text
    raise NumberError(f"“{text[:40]}” is not a phone number.")


def e164(written: str, country: str) -> str:
    """A phone number that a person has typed, in E.164.

    It is read by ``country`` (two letters) first, then as one with a country code but no plus.
    Letters are not decoded (1-800-FLOWERS). Raises ``NumberError`` with the remedy.

    >>> e164("(202) 555-0143", "US"), e164("1-202-555-0143", "US"), e164("+44 20 7946 0958", "US")
    ('+12025550143', '+12025550143', '+442079460958')
    >>> e164("11987654322", "BR"), e164("4915112345679", "DE")
    ('+5511987654322', '+4915112345679')
    """
    if _NANP.fullmatch(written):
        return written  # the library takes 29 µs to say the same
    return _number_typed(_tidy_typed(written), country)


def peer(written: str, country: str) -> str:
    """A peer's address that a person has typed: a number in E.164, a short code, or a name.

    What has letters is a name. Raises ``NumberError`` with the remedy for anything else.

    >>> peer("72404", "US"), peer("MTN", "US"), peer("3035550177", "US"), peer("13035550177", "DE")
    ('72404', 'MTN', '+13035550177', '+13035550177')
    >>> peer("91234568", "SG"), peer("O'Reilly", "US")
    ('+6591234568', "O'Reilly")
    """
    text = _tidy_typed(written)
    if address := _channel_address(text):
        return address
    if any(character.isalpha() for character in text):
        return text
    if _SHORT_CODE.fullmatch(text):
        return _short_code_or_number(text, country)
    return _number_typed(text, country)


def known_as(written: str, country: str) -> str:
    """The address of a peer that a person looks for: as ``peer``, or a sender as it is kept.

    Up to six digits without a sign are a short code, as in ``sender``. Raises ``NumberError`` for
    another number that is only locally possible, and for an empty text.

    >>> known_as("1234", "GB"), known_as("+72404", "US")
    ('1234', '+72404')
    """
    try:
        return peer(written, country)
    except NumberError as error:
        text = _tidy_typed(written)
        if not text or (error.local_only and not _SENT_SHORT_CODE.fullmatch(text)):
            raise
        return text


def search_words(typed: str, country: str) -> set[str]:
    """The texts of which an address has one if it is what a person looks for.

    These are its digits and letters, the words as they stand, and the number by its country.

    >>> sorted(search_words("0151 1234567", "DE")), sorted(search_words("O'Re", "US"))
    (['+491511234567', '0151 1234567', '01511234567'], ["O'Re", 'ORe'])
    """
    text = _tidy_typed(typed)
    words = {text, "".join(character for character in text if character.isalnum())}
    with suppress(NumberError):
        words.add(_number_typed(text, country))
    return {word for word in words if any(map(str.isalnum, word))}


def _tidy(written: str) -> str:
    """A text in one line, without characters that do more than stand for themselves, and bounded.

    Two different texts of more than ``MOST_ADDRESS`` characters stay different.
    """
    line = " ".join(written.split())
    text = "".join("\ufffd" if _is_harmful(character) else character for character in line)
    if len(text) <= MOST_ADDRESS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{text[: MOST_ADDRESS - _DIGEST - 2].rstrip()}… {digest}"


def typed_digits(written: str) -> str | None:
    """The digits (0 to 9) of a text that looks like a number, after a plus if it has one.

    >>> typed_digits(" +1 (911)"), typed_digits("9-1-1"), typed_digits("Bob 911")
    ('+1911', '911', None)
    """
    text = visible(written).strip()
    if not _LIKE_A_NUMBER.fullmatch(text):
        return None
    digits = "".join(str(unicodedata.digit(each)) for each in text if each.isdigit())
    return f"+{digits}" if text.startswith("+") else digits


def visible(written: str) -> str:
    """A text without invisible characters, which lists of contacts copy around a number."""
    return "".join(each for each in written if unicodedata.category(each) != "Cf")


def _tidy_typed(written: str) -> str:
    """``_tidy`` of a text that a person has typed or pasted."""
    seen = visible(written)
    return _tidy(seen if _LIKE_A_NUMBER.fullmatch(seen.strip()) else written)


def clean_name(name: str) -> str:
    r"""The name of a person, without what changes the order of the text around it.

    Empty where nothing of it can be seen.

    >>> clean_name(" Ann \u202eExample "), clean_name("\u200b\u202e")
    ('Ann �Example', '')
    """
    text = name.strip()
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        return ""
    return "".join("\ufffd" if character in _REORDERS else character for character in text)


def _is_harmful(character: str) -> bool:
    """Whether it is a control character, half a surrogate pair, or one that reorders the text."""
    return unicodedata.category(character) in ("Cc", "Cs") or character in _REORDERS


@lru_cache(maxsize=4096)  # the same numbers occur again and again
def _written_by_carrier(text: str, country: str) -> str | None:
    """The number in a carrier's text, or ``None`` where it is not surely one.

    Without a plus, up to ten digits are read by the country first, more of them as a number with
    its country code, as carriers write it. Up to six digits are a short code.
    """
    if not _LIKE_A_NUMBER.fullmatch(text):
        return None
    digits = _digits(text)
    if text.startswith("+"):
        return _possible(text, None)
    if len(digits) <= 6:
        return None
    readings: list[tuple[str, str | None]] = [
        (text, country),
        (f"+{digits.removeprefix('00')}", None),
    ]
    if len(digits) > 10:
        readings.reverse()
    surely = (_valid(*reading) for reading in readings)
    found = next((number for number in surely if number is not None), None)
    return found or (_possible(*readings[0]) if len(digits) >= 10 else None)


@lru_cache(maxsize=4096)
def _number_typed(text: str, country: str) -> str:
    """The number in a text that a person has typed. Raises ``NumberError``."""
    if not _LIKE_A_NUMBER.fullmatch(text):
        raise NumberError(f"“{text[:40]}” is not a phone number. {_EXAMPLE}")
    digits = _digits(text)
    if text.startswith("+"):
        number = _possible(text, None)
    else:
        number = _typed_without_plus(text, digits, country)
    if number is not None:
        return number
    if _is_local(text, country):
        raise NumberError(
            f"“{text[:40]}” is only a local number: its area code is missing. {_EXAMPLE}",
            local_only=True,
        )
    raise NumberError(f"“{text[:40]}” is not a complete phone number. {_EXAMPLE}")


def _typed_without_plus(text: str, digits: str, country: str) -> str | None:
    """A number by its country first, unless it begins with the country's own code.

    German numbers have any length, so that +49 151… is also a number of the area code 04915. But
    who leaves out the plus has the country code before the number, and not a missing 0.
    """
    national = _valid(text, country)
    international = _valid(f"+{digits.removeprefix('00')}", None)
    if international and len(digits) >= 10 and _begins_with_own_code(digits, country):
        return international
    if national is not None:
        return national
    if international is not None and len(digits) >= 10:
        return international
    return _possible(text, country)


def _begins_with_own_code(digits: str, country: str) -> bool:
    """Whether digits begin with the code of a country whose own numbers begin with a prefix."""
    prefix = phonenumbers.ndd_prefix_for_region(country, True)
    code = str(phonenumbers.country_code_for_region(country))
    return bool(prefix) and digits.startswith(code) and not digits.startswith(prefix or "")


@lru_cache(maxsize=4096)
def _short_code_or_number(digits: str, country: str) -> str:
    """Three to eight digits that a person has typed. Raises ``NumberError``.

    They are a number where the country has such numbers, else a short code; not where an area code
    is missing.
    """
    number = _valid(digits, country)
    if number is not None:
        return number
    parsed = _parsed(digits, country)
    if parsed is not None:
        reason = phonenumbers.is_possible_number_with_reason(parsed)
        is_short = shortnumberinfo.is_valid_short_number_for_region(parsed, country)
        is_local = reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY
        is_number = reason == ValidationResult.IS_POSSIBLE and len(digits) > 6
        if (is_local or is_number) and not is_short:
            return _number_typed(digits, country)
    return digits


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(found)) for found in text if found.isdigit())


def _parsed(text: str, country: str | None) -> PhoneNumber | None:
    """A parsed number without an extension, or ``None``."""
    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    # Until 2019 mobile numbers of Mexico were +52 1 and ten digits from abroad, and still come so.
    if parsed.country_code == 52 and re.fullmatch("1[0-9]{10}", str(parsed.national_number)):
        parsed.national_number = int(str(parsed.national_number)[1:])
    return None if parsed.extension else parsed


def _valid(text: str, country: str | None) -> str | None:
    """E.164 where the number is in a range that its country has given out."""
    parsed = _parsed(text, country)
    return _formatted(parsed) if parsed and phonenumbers.is_valid_number(parsed) else None


def _possible(text: str, country: str | None) -> str | None:
    """E.164 where the number has a length of its country; new ranges come every year."""
    parsed = _parsed(text, country)
    if parsed is None:
        return None
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    return _formatted(parsed) if reason == ValidationResult.IS_POSSIBLE else None


def _is_local(text: str, country: str) -> bool:
    parsed = _parsed(text, country)
    return parsed is not None and (
        phonenumbers.is_possible_number_with_reason(parsed)
        == ValidationResult.IS_POSSIBLE_LOCAL_ONLY
    )


def _formatted(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _channel_address(text: str) -> str | None:
    """``whatsapp:+…`` or ``rcs:+…``, the number as it came: the answer goes to this address."""
    found = _CHANNEL.fullmatch(text)
    number = _CHANNEL_NUMBER.fullmatch(found[2]) if found else None
    return f"{found[1].lower()}:+{number[1]}" if found and number else None


def channel_of(address: str) -> str:
    """The way to a peer: ``whatsapp``, ``rcs``, or ``sms`` (SMS and MMS).

    >>> channel_of("whatsapp:+13035550177"), channel_of("+13035550177")
    ('whatsapp', 'sms')
    """
    found = _CHANNEL.fullmatch(address)
    return found[1].lower() if found and _channel_address(address) else "sms"


def addresses_of(address: str) -> list[str]:
    """All addresses of the person with an address: of a number also those at WhatsApp and RCS.

    >>> addresses_of("+13035550177")
    ['+13035550177', 'whatsapp:+13035550177', 'rcs:+13035550177']
    """
    number = without_channel(address)
    if not _E164.fullmatch(number):
        return [address]
    numbers = [number]
    if number.startswith("+52"):  # WhatsApp keeps the old form of Mexico
        numbers.append(f"+521{number[3:]}")
    ways = [f"{way}:" for way in CHANNEL_NAMES if way != "sms"]
    return [number, *(way + each for way in ways for each in numbers)]


def without_channel(address: str) -> str:
    """The address behind ``whatsapp:`` or ``rcs:``; other addresses are returned unchanged."""
    return address if channel_of(address) == "sms" else address.partition(":")[2]


def requested(parse: Callable[[str, str], str], written: str, country: str, field: str = "") -> str:
    """A number of a request, by ``e164`` or ``peer``.

    Raises ``RequestRefused`` (``invalid_number``) that names ``field``.
    """
    try:
        return parse(written, country)
    except NumberError as error:
        raise RequestRefused("invalid_number", str(error), field=field) from None


@lru_cache(maxsize=4096)
def is_dialable(address: str) -> bool:
    """Whether a message can be sent to an address: an E.164 number or a short code.

    >>> is_dialable("+13035550177"), is_dialable("whatsapp:+13035550177"), is_dialable("+72404")
    (True, True, False)
    """
    if _SHORT_CODE.fullmatch(address) or channel_of(address) != "sms":
        return True
    return _E164.fullmatch(address) is not None and _possible(address, None) is not None


def is_toll_free(number: str) -> bool:
    """Whether a number of ours is a toll-free one of North America, whose network answers STOP.

    >>> is_toll_free("+18885550143"), is_toll_free("+12025550143")
    (True, False)
    """
    return _TOLL_FREE.fullmatch(number) is not None


def international(number: str) -> str:
    """An E.164 number in international notation; other addresses are returned unchanged.

    >>> international("+12025550143"), international("rcs:+12025550143"), international("72404")
    ('+1 202-555-0143', '+1 202-555-0143 (RCS)', '72404')
    """
    if (channel := channel_of(number)) != "sms":
        return f"{international(without_channel(number))} ({CHANNEL_NAMES[channel]})"
    parsed = _parsed(number, None) if _E164.fullmatch(number) else None
    if parsed is None:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def national(number: str) -> str:
    """An E.164 number as people of its country write it; other addresses are returned unchanged.

    >>> national("+12025550143"), national("+442079460958"), national("72404")
    ('(202) 555-0143', '020 7946 0958', '72404')
    """
    parsed = _parsed(number, None) if _E164.fullmatch(number) else None
    if parsed is None:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)


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

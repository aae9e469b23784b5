"""Phone numbers at VoIP.ms: ten digits to its API, written in several ways by its webhooks."""

import re

from services.core.phone_numbers import with_plus

_NANP = re.compile(r"(?:\+?1)?([2-9][0-9]{9})", re.ASCII)


def with_country(written: str) -> str:
    """A number in E.164 where its form says what it is; a short code or a name as it came.

    The number format chosen at VoIP.ms makes no difference, because both have been seen mixed. In
    the address of a callback a bare plus arrives as a space.

    >>> with_country("2025550143"), with_country(" 12025550143"), with_country("+12025550143")
    ('+12025550143', '+12025550143', '+12025550143')
    >>> with_country("442079460958"), with_country("72404"), with_country("MTN")
    ('+442079460958', '72404', 'MTN')
    """
    text = written.strip()
    if found := _NANP.fullmatch(text):
        return f"+1{found[1]}"
    return with_plus(text)


def ten_digits(number: str) -> str | None:
    """A number of the USA or Canada as the API wants it; ``None`` for any other address.

    >>> ten_digits("+12025550143"), ten_digits("+442079460958")
    ('2025550143', None)
    """
    found = _NANP.fullmatch(number)
    return found[1] if found else None

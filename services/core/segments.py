"""SMS segments: counting them (3GPP TS 23.038, GSM-7 or UCS-2), and splitting long texts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import regex

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Segments:
    """Encoding of a text, its length in code units, and the number of segments."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    count: int


def count(text: str) -> Segments:
    """Count the segments of a text.

    >>> count("x" * 161).count, count("€" * 80).count, count("é😀").encoding
    (2, 1, 'UCS-2')
    """
    if _is_gsm(text):
        sizes = [2 if character in EXTENDED else 1 for character in text]
        return Segments("GSM-7", sum(sizes), _pack(sizes, single=160, joined=153))
    sizes = [2 if ord(character) > 0xFFFF else 1 for character in text]
    return Segments("UCS-2", sum(sizes), _pack(sizes, single=70, joined=67))


def _pack(sizes: list[int], *, single: int, joined: int) -> int:
    """Number of segments, without dividing an escape sequence or a surrogate pair."""
    if sum(sizes) <= single:
        return 1
    segments, used = 1, 0
    for size in sizes:
        if used + size > joined:
            segments, used = segments + 1, 0
        used += size
    return segments


def split(
    text: str, limit: int, unicode_limit: int = 0, *, width: Callable[[str], int] | None = None
) -> list[str]:
    r"""Split a text into parts that each fit a limit.

    The limit is in units of what is sent, unless ``width`` measures a character otherwise: of GSM-7
    one of the extension table (such as ``€``) takes two, else one above U+FFFF does, being two of
    UTF-16. A part that is not GSM-7 fits ``unicode_limit``, where there is one. A part ends after a
    line break or a space if there is one in its second half, and never inside what a reader sees as
    one character (UAX #29: flags, joined emoji, accents, the signs of Hindi, CRLF), unless that
    alone is over the limit.

    >>> split("one two three", 8), split("ab\r\ncd", 3)
    (['one two ', 'three'], ['ab', '\r\n', 'cd'])
    """
    parts = []
    while text:
        part = _first_part(text, limit, unicode_limit or limit, width or _units)
        parts.append(part)
        text = text[len(part) :]
    return parts or [text]


# What a reader sees as one character. The library keeps up with Unicode's tables.
_SEEN_CHARACTER = regex.compile(r"\X")


def _first_part(text: str, limit: int, unicode_limit: int, width: Callable[[str], int]) -> str:
    """The longest beginning of a text that fits, cut at a good place."""
    taken, used, good = 0, 0, 0
    for seen in _pieces(text, min(limit, unicode_limit), width):
        limit = limit if _is_gsm(seen) else unicode_limit
        used += sum(map(width, seen))
        if used > limit and taken:
            return text[: good if good > taken // 2 else taken]
        taken += len(seen)
        if seen[-1] in " \n":
            good = taken
    return text


def _pieces(text: str, limit: int, width: Callable[[str], int]) -> Iterator[str]:
    """The characters that a reader sees; one that alone is over the limit by its code points."""
    for found in _SEEN_CHARACTER.finditer(text):
        seen = found[0]
        yield from [seen] if sum(map(width, seen)) <= limit else seen


def _is_gsm(text: str) -> bool:
    return all(character in BASIC or character in EXTENDED for character in text)


def _units(character: str) -> int:
    return 2 if character in EXTENDED or ord(character) > 0xFFFF else 1

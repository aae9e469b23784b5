"""SMS segments: counting them (3GPP TS 23.038, GSM-7 or UCS-2), and splitting long texts."""

from dataclasses import dataclass
from typing import Literal

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
    if all(character in BASIC or character in EXTENDED for character in text):
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


def split(text: str, limit: int) -> list[str]:
    """Split a text into parts of at most ``limit`` characters.

    A part ends after a line break or a space if there is one in its second half, and never inside
    a joined emoji.

    >>> split("one two three", 8)
    ['one two ', 'three']
    """
    parts = []
    while len(text) > limit:
        cut = max(text.rfind("\n", limit // 2, limit), text.rfind(" ", limit // 2, limit)) + 1
        if cut == 0:
            cut = limit
            while cut > 1 and (_joins(text[cut]) or text[cut - 1] == "\u200d"):
                cut -= 1
            if cut == 1:
                cut = limit
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


def _joins(character: str) -> bool:
    return character in "\u200d\ufe0f\u20e3" or 0x1F3FB <= ord(character) <= 0x1F3FF

"""HEIC and AVIF (ISO/IEC 14496-12, 23008-12): empties EXIF and XMP items in their place.

Offsets in the file count from its start, so nothing is taken out. The orientation is a property of
the picture (``irot``, ``imir``) and stays.
"""

import struct
from collections.abc import Iterator

from services.media.metadata.boxes import boxes
from services.media.metadata.pieces import Eraser, PieceCounter

# EXIF without a single tag, which readers demand where an item says that it is EXIF.
_EMPTY_EXIF = bytes(4) + b"MM\0*" + struct.pack(">I", 8) + bytes(6)
_BOXES_OF_METADATA = (b"uuid", b"udta", b"free", b"skip")
_ITEMS_OF_METADATA = (b"Exif", b"mime", b"uri ")


def strip(content: bytes) -> bytes:
    """A HEIC or AVIF picture without metadata. Raises ``ValueError`` and the like.

    One with a film in it (``moov``: an animation) is refused, too: that has metadata elsewhere.
    """
    eraser, pieces, has_items = Eraser(content), PieceCounter(), False
    for kind, start, stop in boxes(content, 0, len(content), pieces):
        if kind == b"meta":
            has_items = True
            _erase_items(content, start + 4, stop, eraser, pieces)
        elif kind in _BOXES_OF_METADATA:
            eraser.erase(start, stop)
        elif kind == b"moov":
            raise ValueError("an animation")
    if not has_items:
        raise ValueError("no picture")
    return eraser.result()


def _erase_items(
    content: bytes, start: int, end: int, eraser: Eraser, pieces: PieceCounter
) -> None:
    """Overwrite the items of a ``meta`` box that hold metadata."""
    inner = {kind: (first, last) for kind, first, last in boxes(content, start, end, pieces)}
    if not {b"iinf", b"iloc"} <= inner.keys():
        raise ValueError("no items")
    wanted = _items_of_metadata(content, *inner[b"iinf"], pieces)
    data_start = inner.get(b"idat", (0, 0))[0]
    for item, first, length in _extents(content, inner[b"iloc"][0], data_start, pieces):
        if item in wanted:
            end = first + length if length else len(content)
            eraser.erase(first, end)
            if wanted[item] == b"Exif" and end - first >= len(_EMPTY_EXIF):
                eraser.write(first, _EMPTY_EXIF)
            wanted[item] = b""  # what follows of it are zeros only


def _items_of_metadata(
    content: bytes, start: int, end: int, pieces: PieceCounter
) -> dict[int, bytes]:
    """The items that hold metadata, with their types."""
    found = {}
    entries = start + (6 if content[start] == 0 else 8)
    for kind, first, _ in boxes(content, entries, end, pieces):
        version = content[first]
        if kind != b"infe" or version < 2:
            raise ValueError("an entry of an unknown kind")
        form = ">HH4s" if version == 2 else ">IH4s"
        item, _, item_type = struct.unpack_from(form, content, first + 4)
        if item_type in _ITEMS_OF_METADATA:
            found[int(item)] = bytes(item_type)
    return found


def _extents(
    content: bytes, start: int, data_start: int, pieces: PieceCounter
) -> Iterator[tuple[int, int, int]]:
    """Where the items of an ``iloc`` box are: item, offset in the file, length in bytes."""
    version, sizes = content[start], content[start + 4 : start + 6]
    if version > 2:
        raise ValueError("an unknown version")
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version else 0
    numbers = _Numbers(content, start + 6)
    wide = 2 if version < 2 else 4
    for _ in range(numbers.read(wide)):
        pieces.count()
        item = numbers.read(wide)
        method = numbers.read(2) & 15 if version else 0
        numbers.read(2)  # which file the item is in: 0, this one
        base = numbers.read(base_size)
        for _ in range(numbers.read(2)):
            pieces.count()
            numbers.read(index_size)
            offset, length = numbers.read(offset_size), numbers.read(length_size)
            if method > 1:
                raise ValueError("an item made of other items")
            yield item, base + offset + (data_start if method else 0), length


class _Numbers:
    """Reads one number after the other."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def read(self, size: int) -> int:
        """The next number, of ``size`` bytes; without bytes it is 0."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._content):
            raise ValueError("a table is cut")
        return int.from_bytes(self._content[start : self._at], "big")

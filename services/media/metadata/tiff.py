"""TIFF 6.0: removes all tags that are not needed to show the picture, and overwrites their values.

The orientation is one of the tags that stay.
"""

import struct

from services.media.metadata.pieces import Eraser, PieceCounter

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_KEPT = frozenset(
    (
        *range(0x0FE, 0x10B),  # kind, size, compression, colours
        *range(0x111, 0x11E),  # strips, orientation, resolution
        *range(0x122, 0x12A),  # density, fax options, unit, page
        *(0x12D, 0x13D, 0x13E, 0x13F, 0x140, 0x141),  # transfer, predictor, colours
        *range(0x142, 0x146),  # tiles
        *(0x14C, 0x14D, 0x14E, 0x150, 0x151, 0x152, 0x153, 0x15B),  # inks, transparency, JPEG
        *range(0x200, 0x20A),  # the old JPEG
        *(0x211, 0x212, 0x213, 0x214, 0x8773),  # YCbCr, colour profile
    )
)
_TABLES = (0x8769, 0x8825, 0xA005)  # EXIF, place, interoperability
_MOST_PICTURES = 100
_DEEPEST = 2  # the table of EXIF may lead to that of interoperability
_ENTRY = 12  # bytes


def strip(content: bytes) -> bytes:
    """A TIFF without metadata. Raises ``ValueError`` and the like."""
    order = "<" if content[:2] == b"II" else ">"
    eraser, pieces = Eraser(content), PieceCounter()
    (at,) = struct.unpack_from(order + "I", content, 4)
    for _ in range(_MOST_PICTURES):
        if not at:
            return eraser.result()
        at = _strip_table(content, order, at, eraser, pieces)
    raise ValueError("too many pictures, or in a circle")


def _strip_table(content: bytes, order: str, at: int, eraser: Eraser, pieces: PieceCounter) -> int:
    """Rewrite one picture's table of tags in its place; returns where the next one is."""
    (count,) = struct.unpack_from(order + "H", content, at)
    end = at + 2 + _ENTRY * count
    (following,) = struct.unpack_from(order + "I", content, end)
    kept = []
    for entry in range(at + 2, end, _ENTRY):
        pieces.count()
        (tag,) = struct.unpack_from(order + "H", content, entry)
        if tag in _KEPT:
            kept.append(content[entry : entry + _ENTRY])
        else:
            _erase_value(content, order, entry, eraser, pieces)
    eraser.erase(at, end + 4)
    table = struct.pack(order + "H", len(kept)) + b"".join(kept)
    eraser.write(at, table + struct.pack(order + "I", following))
    return int(following)


def _erase_value(
    content: bytes, order: str, entry: int, eraser: Eraser, pieces: PieceCounter, depth: int = 0
) -> None:
    """Overwrite a value that is not in its entry; of a table, its values, too."""
    tag, kind, values, offset = struct.unpack_from(order + "HHII", content, entry)
    if tag in _TABLES:
        if depth == _DEEPEST:
            raise ValueError("tables in a circle")
        (count,) = struct.unpack_from(order + "H", content, offset)
        end = offset + 2 + _ENTRY * count
        for inner in range(offset + 2, end, _ENTRY):
            pieces.count()
            _erase_value(content, order, inner, eraser, pieces, depth + 1)
        eraser.erase(offset, end)
    elif (size := _SIZES.get(kind, 1) * values) > 4:
        eraser.erase(offset, offset + size)

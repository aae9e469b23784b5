"""PNG (https://www.w3.org/TR/png-3/): removes all chunks that say nothing about the pixels."""

import struct
import zlib

from services.media.metadata.exif import only_orientation
from services.media.metadata.pieces import PieceCounter

_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL "
    b"fcTL fdAT".split()
)


def strip(content: bytes) -> bytes:
    """A PNG without metadata, cut after its end. Raises ``ValueError`` and the like."""
    kept, at, pieces = [content[:8]], 8, PieceCounter()
    while True:
        pieces.count()
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            raise ValueError("a chunk is cut")
        if kind in _KEPT:
            kept.append(content[at:end])
        elif kind == b"eXIf" and (exif := only_orientation(content[at + 8 : end - 4])):
            check = struct.pack(">I", zlib.crc32(kind + exif))
            kept.append(struct.pack(">I", len(exif)) + kind + exif + check)
        if kind == b"IEND":
            return b"".join(kept)
        at = end

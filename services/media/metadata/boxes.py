"""Boxes of ISO media files (ISO/IEC 14496-12 §4.2): HEIC, AVIF, MP4, QuickTime, 3GPP."""

import struct
from collections.abc import Iterator

from services.media.metadata.pieces import PieceCounter


def boxes(
    content: bytes, at: int, end: int, pieces: PieceCounter
) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two offsets: type, and where the content begins and ends.

    Raises ``ValueError`` and ``struct.error`` for a box that does not end there.
    """
    while at < end:
        pieces.count()
        size, kind = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        stop = at + size if size else end
        if stop > end or stop < start:
            raise ValueError("a box is cut")
        yield kind, start, stop
        at = stop

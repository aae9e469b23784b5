"""Boxes of ISO media files (ISO/IEC 14496-12 §4.2): HEIC, AVIF, MP4, QuickTime, 3GPP."""

import struct
from collections.abc import Iterator

from services.media.metadata.pieces import PieceCounter

HEAD_BYTES = 8  # size and type


def boxes(
    content: bytes, at: int, end: int, pieces: PieceCounter, *, may_be_cut: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two offsets: type, and where the content begins and ends.

    With ``may_be_cut`` the rest may be too short for a box, and an ``mdat`` box below a ``moov``
    may be longer than the file: a recording that broke off. Raises ``ValueError`` and
    ``struct.error`` for another box that does not end there.
    """
    has_head = False
    while at < end:
        pieces.count()
        if may_be_cut and end - at < HEAD_BYTES:
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        start = at + HEAD_BYTES
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        stop = at + size if size else end
        if may_be_cut and has_head and kind == b"mdat":
            stop = min(stop, end)
        has_head = has_head or kind == b"moov"
        if stop > end or stop < start:
            raise ValueError("a box is cut")
        yield kind, start, stop
        at = stop

"""MP4, QuickTime, 3GPP and M4A (ISO/IEC 14496-12): overwrites the boxes of metadata in the file.

Offsets in the file count from its start, so its size stays: a box becomes a ``free`` one of the
same size, which players skip. Location and camera are in ``udta`` (Android) and ``meta`` (Apple).
The GPS track of an action camera is a track of its own, and stays.
"""

from services.core.errors import Kind, MediaError
from services.media.metadata.boxes import boxes
from services.media.metadata.pieces import Eraser, PieceCounter

_METADATA = (b"udta", b"meta", b"uuid", b"free", b"skip")
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"moof", b"traf")
_DEEPEST = 8  # boxes in one another; a real file has four


def strip(content: bytes) -> bytes:
    """A film or a sound without metadata.

    Raises ``ValueError`` and the like, and ``MediaError`` for one with a compressed head.
    """
    eraser = Eraser(content)
    _erase(content, 0, len(content), eraser, PieceCounter(), _DEEPEST)
    return eraser.result()


def _erase(
    content: bytes, start: int, end: int, eraser: Eraser, pieces: PieceCounter, deepest: int
) -> None:
    """Empty the metadata between two offsets, and in the containers there."""
    if not deepest:
        raise ValueError("boxes too deep in one another")
    at, is_outermost = start, deepest == _DEEPEST
    for kind, first, stop in boxes(content, start, end, pieces, may_be_cut=is_outermost):
        if kind in _METADATA:
            eraser.erase(first, stop)
            eraser.write(at + 4, b"free")
        elif kind in _CONTAINERS:
            _erase(content, first, stop, eraser, pieces, deepest - 1)
        elif kind == b"cmov":  # a compressed head, which has metadata in it
            raise MediaError(
                "Location and camera cannot be removed from this kind of film. Save it as MP4, and "
                "send the new file.",
                Kind.REFUSED,
            )
        at = stop

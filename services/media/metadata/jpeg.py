"""JPEG (ITU-T T.81, Annex B): its structure, and the picture without metadata.

Of the application segments JFIF, the ICC profile and Adobe's stay.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from services.media.metadata.exif import MARK, only_orientation
from services.media.metadata.pieces import PieceCounter

# The next marker that is no restart. Any number of bytes 255 may stand before it: a pattern with
# all of them would begin anew at each, which takes hours.
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_JFIF, _ICC, _ADOBE = b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"
_JFIF_BYTES = 12  # without the thumbnail
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # without tables and what is reserved
_FIRST_WITH_LENGTH = 0xC0
_WITHOUT_LENGTH = range(0xD0, 0xD9)  # restarts, which belong into a scan, and a second beginning
_END, _SCAN, _COMMENT, _APP0, _APP1, _APP15 = 0xD9, 0xDA, 0xFE, 0xE0, 0xE1, 0xEF


@dataclass(frozen=True, slots=True)
class Structure:
    """How the pixels of a JPEG are written.

    ``frame`` is the marker of its kind, ``scans`` how many passes there are over the picture. With
    ``is_buffered`` no pixel is known before the last scan: a decoder holds all coefficients.
    """

    frame: int
    scans: int
    is_buffered: bool


def structure(content: bytes) -> Structure:
    """The structure of a JPEG. Raises ``ValueError`` and the like."""
    frame, components, scanned = 0, 0, []
    for marker, segment in _segments(content):
        if marker in _FRAMES:
            if frame:
                raise ValueError("two frames")
            frame, components = marker, segment[7]
        elif marker == _SCAN:
            scanned.append(segment[2])
    is_buffered = frame not in (BASELINE, EXTENDED) or scanned[0] < components
    return Structure(frame, len(scanned), is_buffered)


def strip(content: bytes) -> bytes:
    """A JPEG without metadata, cut after its end. Raises ``ValueError`` and the like."""
    return content[:2] + b"".join(_kept(*each) for each in _segments(content))


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments up to the end of the picture: marker, and what follows it, length first.

    What is compressed belongs to the segment of its scan. The end has no segment.
    """
    at, has_scan, pieces = 2, False, PieceCounter()
    while at < len(content):
        pieces.count()
        if content[at] != 0xFF:
            raise ValueError("no marker")
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        at += 1
        if marker == _END:
            yield marker, b""
            break
        if marker < _FIRST_WITH_LENGTH or marker in _WITHOUT_LENGTH:
            raise ValueError("a marker in the wrong place")
        (length,) = struct.unpack_from(">H", content, at)
        end = at + length
        if length < 2 or end > len(content):
            raise ValueError("a segment is cut")
        if marker == _SCAN:
            has_scan = True
            found = _SCAN_END.search(content, end)
            end = found.start() if found else len(content)
        yield marker, content[at:end]
        at = end
    if not has_scan:
        raise ValueError("no picture")


def _kept(marker: int, segment: bytes) -> bytes:
    """What stays of a segment, which begins with its length."""
    if marker == _END:
        return bytes((0xFF, _END))
    data = segment[2:]
    if marker == _APP0 and data.startswith(_JFIF):
        return _written(marker, data[:_JFIF_BYTES] + bytes(2))  # a thumbnail of no size
    if marker == _APP1 and data.startswith(MARK):
        exif = only_orientation(data)
        return _written(marker, MARK + exif) if exif else b""
    is_needed = data.startswith((_ICC, _ADOBE))
    if marker == _COMMENT or (_APP0 <= marker <= _APP15 and not is_needed):
        return b""
    return bytes((0xFF, marker)) + segment


def _written(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

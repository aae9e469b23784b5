"""JPEG (ITU-T T.81, Annex B): removes all application segments but JFIF, ICC profile and Adobe."""

import re
import struct

from services.media.metadata.exif import MARK, only_orientation
from services.media.metadata.pieces import PieceCounter

_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # the next marker that is no restart
_JFIF, _ICC, _ADOBE = b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"
_JFIF_BYTES = 12  # without the thumbnail
_END, _SCAN, _COMMENT, _APP0, _APP1, _APP15 = 0xD9, 0xDA, 0xFE, 0xE0, 0xE1, 0xEF


def strip(content: bytes) -> bytes:
    """A JPEG without metadata, cut after its end. Raises ``ValueError`` and the like."""
    kept, at, has_scan, pieces = [content[:2]], 2, False, PieceCounter()
    while at < len(content):
        pieces.count()
        if content[at] != 0xFF:
            raise ValueError("no marker")
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        at += 1
        if marker == _END:
            kept.append(bytes((0xFF, _END)))
            break
        (length,) = struct.unpack_from(">H", content, at)
        end = at + length
        if length < 2 or end > len(content):
            raise ValueError("a segment is cut")
        if marker == _SCAN:
            has_scan = True
            found = _SCAN_END.search(content, end)
            end = found.start() if found else len(content)
        kept.append(_kept(marker, content[at:end]))
        at = end
    if not has_scan:
        raise ValueError("no picture")
    return b"".join(kept)


def _kept(marker: int, segment: bytes) -> bytes:
    """What stays of a segment, which begins with its length."""
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

"""WebP (RFC 9649): removes all chunks that are no part of the picture, also those of frames."""

import struct
from collections.abc import Iterator

from services.media.metadata.exif import only_orientation
from services.media.metadata.pieces import PieceCounter

_KEPT = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP")
_FRAME_HEAD = 16  # bytes of a frame before its chunks
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04


def strip(content: bytes) -> bytes:
    """A WebP without metadata, cut after its end. Raises ``ValueError`` and the like."""
    (size,) = struct.unpack_from("<I", content, 4)
    pieces = PieceCounter()
    chunks = []
    for kind, whole in _chunks(content[: 8 + size], 12, pieces):
        data = whole
        if kind == b"EXIF":
            data = only_orientation(whole)
        elif kind == b"ANMF":
            inner = _chunks(whole, _FRAME_HEAD, pieces)
            frame = b"".join(_written(*each) for each in inner if each[0] in _KEPT)
            data = whole[:_FRAME_HEAD] + frame
        if kind in _KEPT or (kind == b"EXIF" and data):
            chunks.append((kind, data))
    is_turned = any(kind == b"EXIF" for kind, _ in chunks)
    if is_turned + 1 > len(chunks):
        raise ValueError("no picture")
    body = b"WEBP" + b"".join(
        _written(kind, _flags(kind, data, is_turned)) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _flags(kind: bytes, data: bytes, is_turned: bool) -> bytes:
    """The data of a chunk; in that of the features, the flags of the metadata that is left."""
    if kind != b"VP8X":
        return data
    flags = data[0] & ~(_EXIF_FLAG | _XMP_FLAG) | is_turned * _EXIF_FLAG
    return bytes((flags,)) + data[1:]


def _chunks(content: bytes, at: int, pieces: PieceCounter) -> Iterator[tuple[bytes, bytes]]:
    while at < len(content):
        pieces.count()
        kind, size = struct.unpack_from("<4sI", content, at)
        if at + 8 + size > len(content):
            raise ValueError("a chunk is cut")
        yield kind, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _written(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

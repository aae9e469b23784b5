"""Small pictures whose structure is right, for tests that do not look at the pixels."""

import struct
from io import BytesIO

from PIL import Image

_MOST_BLOCK = 255


def gif(content: bytes = b"a picture of the tests") -> bytes:
    """A GIF with some bytes as its (senseless) pixels; up to 255 of them stay together."""
    blocks = [content[at : at + _MOST_BLOCK] for at in range(0, len(content), _MOST_BLOCK)]
    pixels = b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02" + pixels
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + image + b"\x3b"


def jpeg(content: bytes = b"a picture of the tests") -> bytes:
    """A JPEG of one pixel, with some bytes (without 255) behind those of the pixel."""
    written = BytesIO()
    Image.new("RGB", (1, 1)).save(written, "JPEG")
    return written.getvalue()[:-2] + content + b"\xff\xd9"


def jpeg_of_size(size: int) -> bytes:
    """A JPEG of so many bytes, at least a thousand."""
    return jpeg(bytes(size - len(jpeg(b""))))


def png(side: int = 1) -> bytes:
    """A black square PNG."""
    written = BytesIO()
    Image.new("RGB", (side, side)).save(written, "PNG")
    return written.getvalue()

"""A file that a preview keeps in its form until it is applied: compressed, as text."""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from contextlib import suppress

MOST_PACKED = 450_000  # characters; Flask refuses a form with more than 500 kB of texts


def packed(content: bytes) -> str | None:
    """A file as a text, or ``None`` if it is too large for a form."""
    text = urlsafe_b64encode(zlib.compress(content)).decode()
    return text if len(text) <= MOST_PACKED else None


def unpacked(text: str, most: int) -> bytes | None:
    """The file of a text, of at most ``most`` bytes, or ``None`` if the upload was incomplete."""
    stream = zlib.decompressobj()
    with suppress(Error, zlib.error, ValueError):
        content = stream.decompress(urlsafe_b64decode(text.encode()), most + 1)
        if stream.eof and len(content) <= most:
            return content
    return None

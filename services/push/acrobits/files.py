"""Files in Acrobits' apps: a JSON in the place of the text names where each of them is.

https://doc.acrobits.net/api/client/x-acro-filetransfer.html
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

CONTENT_TYPE = "application/x-acro-filetransfer+json"
KEY_BYTES = {16, 24, 32}
MOST_FILES = 20
NONCE = bytes(16)  # the app makes a new key for each file


@dataclass(frozen=True, slots=True)
class Offered:
    """A file that the app has uploaded to Acrobits: where, and how it is encrypted."""

    url: str
    content_type: str
    name: str
    key: bytes | None
    checksum: int | None

    def opened(self, content: bytes) -> bytes:
        """The file in the clear (AES-CTR). Raises ``ValueError`` if it is not what was sent."""
        if self.key is not None:
            decryptor = Cipher(AES(self.key), CTR(NONCE)).decryptor()
            content = decryptor.update(content) + decryptor.finalize()
        if self.checksum is not None and zlib.crc32(content) != self.checksum:
            raise ValueError("The file did not arrive as it was sent.")
        return content


def written(caption: str, media: Sequence[dict[str, Any]]) -> str:
    """The JSON that shows files (as of a message object) with their caption in the app."""
    attachments = [
        {
            "content-type": file["content_type"],
            "content-url": file["url"],
            "content-size": file["size"],
            "filename": file["name"],
        }
        for file in media
    ]
    return json.dumps({"body": caption, "attachments": attachments})


def read(text: str) -> tuple[str, list[Offered]]:
    """The caption and the files that the app sends. Raises ``ValueError`` with a sentence."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("The list of files cannot be read.") from None
    listed = told.get("attachments") if isinstance(told, dict) else None
    if not isinstance(listed, list) or not all(isinstance(file, dict) for file in listed):
        raise ValueError("The list of files cannot be read.")
    if len(listed) > MOST_FILES:
        raise ValueError(f"Send at most {MOST_FILES} files at once.")
    caption = told.get("body") or told.get("text") or ""
    if not isinstance(caption, str):
        raise ValueError("The text that goes with the files cannot be read.")
    return caption, [_offered(file) for file in listed]


def _offered(file: dict[str, Any]) -> Offered:
    url = file.get("content-url")
    if not isinstance(url, str):
        raise ValueError("One of the files has no address.")
    return Offered(
        url=url,
        content_type=str(file.get("content-type") or "image/jpeg"),
        name=str(file.get("filename") or ""),
        key=_key(file.get("encryption-key")),
        checksum=_checksum(file.get("hash")),
    )


def _key(hexadecimal: Any) -> bytes | None:
    if hexadecimal in (None, ""):
        return None
    try:
        key = bytes.fromhex(hexadecimal)
    except (TypeError, ValueError):
        key = b""
    if len(key) not in KEY_BYTES:
        raise ValueError("The key of one of the files cannot be used.")
    return key


def _checksum(decimal: Any) -> int | None:
    if decimal in (None, ""):
        return None
    text = str(decimal)
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise ValueError("The checksum of one of the files cannot be read.")
    return int(text)

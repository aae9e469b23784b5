"""Attachments in Acrobits apps: a JSON document in place of the text lists their URLs.

Source: https://doc.acrobits.net/api/client/x-acro-filetransfer.html
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
MAX_FILES = 20
NONCE = bytes(16)  # the app makes a new key for each file


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that the app uploaded to Acrobits: its URL, type, name, AES key and CRC-32."""

    url: str
    content_type: str
    name: str
    key: bytes | None
    checksum: int | None

    def decrypt(self, content: bytes) -> bytes:
        """Decrypt the file (AES-CTR). Raises ``ValueError`` if its checksum is wrong."""
        if self.key is not None:
            decryptor = Cipher(AES(self.key), CTR(NONCE)).decryptor()
            content = decryptor.update(content) + decryptor.finalize()
        if self.checksum is not None and zlib.crc32(content) != self.checksum:
            raise ValueError("The file did not arrive as it was sent.")
        return content


def write_attachments(caption: str, media: Sequence[dict[str, Any]]) -> str:
    """The JSON that shows files (``media`` of a message object) with a caption in the app."""
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


def read_attachments(text: str) -> tuple[str, list[UploadedFile]]:
    """Parse what the app sends: caption and files. Raises ``ValueError`` with a sentence."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("The list of files cannot be read.") from None
    listed = content.get("attachments") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(file, dict) for file in listed):
        raise ValueError("The list of files cannot be read.")
    if len(listed) > MAX_FILES:
        raise ValueError(f"Send at most {MAX_FILES} files at once.")
    caption = content.get("body") or content.get("text") or ""
    if not isinstance(caption, str):
        raise ValueError("The text that goes with the files cannot be read.")
    return caption, [_uploaded_file(file) for file in listed]


def _uploaded_file(file: dict[str, Any]) -> UploadedFile:
    url = file.get("content-url")
    if not isinstance(url, str):
        raise ValueError("One of the files has no address.")
    return UploadedFile(
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

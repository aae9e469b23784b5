"""Files of messages in FS PBX, which has them in a bucket, and in FusionPBX."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from services.operations.migration.source import FileRow

NO_BUCKET = "The file stayed in the storage of FS PBX."
LONGEST_NAME = 200


def offered_files(media: str, server: str) -> tuple[FileRow, ...]:
    """The files of the column ``media`` (JSON): objects in a bucket, or only their addresses.

    ``server`` is the address of FS PBX's web server, which gives the objects out; empty: none.
    """
    try:
        listed = json.loads(media) if media else []
    except (ValueError, RecursionError):
        return ()
    return tuple(_offered(one, server) for one in listed) if isinstance(listed, list) else ()


def stored_file(name: str, kind: str, read: Callable[[], bytes] | None) -> FileRow:
    """A file of FusionPBX; ``kind`` is a content type or an ending, ``read`` gives its content."""
    missing = "" if read else "FusionPBX has no content of this file that can be read."
    content_type = kind if "/" in kind else ""
    name = name if "." in name or "/" in kind or not kind else f"{name}.{kind}"
    return FileRow(name[:LONGEST_NAME], content_type, read, missing=missing)


def decode_file(written: str) -> bytes:
    """The content that FusionPBX has written in Base64; empty if it cannot be read."""
    try:
        return base64.b64decode(written, validate=False)
    except (binascii.Error, ValueError):
        return b""


def _offered(one: Any, server: str) -> FileRow:
    if isinstance(one, str):
        return FileRow(name=one.rpartition("/")[2][:LONGEST_NAME], missing=NO_BUCKET)
    if not isinstance(one, dict):
        return FileRow(missing=NO_BUCKET)
    path = str(one.get("access_path") or "")
    has_address = bool(server) and path.startswith("/")
    return FileRow(
        name=str(one.get("original_name") or one.get("stored_name") or "")[:LONGEST_NAME],
        content_type=str(one.get("mime_type") or ""),
        url=f"{server}{path}" if has_address else "",
        missing="" if has_address else NO_BUCKET,
    )

"""Files that come inside a webhook of VoIP Innovations: names, and their bytes in base64.

Real calls contain one text in the syntax of Python: ``{'IMG_1.jpg': '…', 'x.smil': '…'}``. JSON
objects, lists of objects and web addresses are read as well.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from services.core.messages import Attachment, clean
from services.providers import parsing

PLACES = ("files", "fileUrls", "file_urls")
NAMES = ("filename", "file_name", "name")
CONTENTS = ("base64", "content", "data", "url")
NOTHING = ("", "None", "null")
MOST = 20  # files in one message

# One pair in the manner of Python. Base64 needs no escapes.
_PAIR = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.){0,255})'|"((?:[^"\\]|\\.){0,255})")
        \s*:\s*b?(?:'([^'\\]*+)'|"([^"\\]*+)")\s*([,}])""",
    re.DOTALL | re.VERBOSE,
)


def attached(fields: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The files of a message, with their bytes as ``content``.

    A file that cannot be read has the state failed and a reason: its message must not wait for it.
    SMIL (the layout of an MMS) is left out.
    """
    try:
        pairs = [pair for place in PLACES for pair in _pairs(fields.get(place))]
    except ValueError as error:
        return (_failed("", str(error)),)
    if len(pairs) > MOST:
        return (_failed("", f"The message has more than {MOST} files."),)
    named = [(clean(name), clean(value)) for name, value in pairs]
    return tuple(_file(n[-100:], value) for n, value in named if not n.lower().endswith(".smil"))


def holds_files(fields: Mapping[str, Any]) -> bool:
    """Whether a message has any files, SMIL included."""
    return any(_pairs(fields.get(place)) for place in PLACES)


def _pairs(value: Any) -> list[tuple[str, str]]:
    """(name, base64 or address) of every file, in whichever form they are written."""
    if isinstance(value, str):
        written = value.strip()
        if written in NOTHING:
            return []
        if _is_address(written):
            return [("", written)]
        try:
            value = json.loads(written)
        except (ValueError, RecursionError):
            return _python_pairs(written)
    if isinstance(value, dict):
        return [(parsing.text(n, "name"), parsing.text(v, "files")) for n, v in value.items()]
    if isinstance(value, list):
        return [_described(entry) for entry in value]
    if value is not None:
        raise ValueError("“files” has a form that is not known.")
    return []


def _described(entry: Any) -> tuple[str, str]:
    """One file of a list: an address, or an object."""
    if isinstance(entry, str):
        return "", entry
    described = parsing.fields(entry, "files")
    name = next((parsing.word(described, key) for key in NAMES if key in described), "")
    for key in CONTENTS:
        if key in described:
            return name, parsing.text(described[key], key)
    raise ValueError("A file of “files” has no content.")


def _python_pairs(written: str) -> list[tuple[str, str]]:
    """A dictionary of texts as Python writes it. Never evaluated: it comes from outside.

    Reading ends once there are more than may be.
    """
    pairs: list[tuple[str, str]] = []
    at, more = 1, True
    while more:
        found = _PAIR.match(written, at) if written.startswith("{") else None
        if found is None:
            raise ValueError("“files” has a form that is not known.")
        single, double, content, quoted, end = found.groups()
        pairs.append((re.sub(r"\\(.)", r"\1", single or double or ""), content or quoted or ""))
        at, more = found.end(), end == "," and len(pairs) <= MOST
    if end == "}" and written[at:]:
        raise ValueError("“files” has a form that is not known.")
    return pairs


def _file(name: str, value: str) -> Attachment:
    if _is_address(value):
        return Attachment(source_url=value, name=name or parsing.file_name(value))
    try:
        content = base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        content = b""
    if not content:
        return _failed(name, "The file could not be read: it is empty, or no base64.")
    return Attachment(name=name, content=content)


def _failed(name: str, reason: str) -> Attachment:
    return Attachment(name=name, state="failed", reason=reason)


def _is_address(value: str) -> bool:
    return value.startswith(("https://", "http://"))

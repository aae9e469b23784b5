"""Parsing of the fields that a carrier sends; each raises ``ValueError`` with a sentence."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from services.core.keywords import Keyword
from services.core.messages import clean

# Twilio's OptOutType and Telnyx's autoresponse_type.
_ANSWERED = {"STOP": Keyword.STOP, "START": Keyword.START, "HELP": Keyword.HELP}
OUR_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def fields(value: Any, name: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"“{name}” is not an object.")
    return value


def text(value: Any, name: str) -> str:
    """A text that every database can keep; a whole number stands for its digits, null for none."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"“{name}” is not a text.")
    return clean(str(value))


def word(holder: Mapping[str, Any], name: str, *, needed: bool = False, most: int = 255) -> str:
    """A short text of an object: short enough for the index of a database."""
    found = text(holder.get(name), name)
    if needed and not found:
        raise ValueError(f"“{name}” is missing.")
    if len(found) > most:
        raise ValueError(f"“{name}” is longer than {most} characters.")
    return found


def address(holder: Mapping[str, Any], name: str) -> str:
    """Who has sent a text, as the carrier writes it, of any length; it must not be missing."""
    found = text(holder.get(name), name)
    if not found:
        raise ValueError(f"“{name}” is missing.")
    return found


def texts(holder: Mapping[str, Any], name: str, most: int = 100) -> list[str]:
    """A list of texts of an object, without blank ones; one by itself and null are taken, too."""
    value = holder.get(name)
    values = value if isinstance(value, list) else [value]
    if len(values) > most:
        raise ValueError(f"“{name}” has more than {most} entries.")
    return [each for each in (text(entry, name) for entry in values) if each.strip()]


def our_id(written: str) -> str | None:
    """A message id of ours that a carrier returns, or ``None`` where it is not of our form."""
    return written if OUR_ID.fullmatch(written) else None


def answered_keyword(value: Any) -> Keyword | None:
    """The keyword that the carrier says it has recognised in a text and answered itself, if any.

    >>> answered_keyword("STOP"), answered_keyword(None), answered_keyword("JOIN")
    (<Keyword.STOP: 'stop'>, None, None)
    """
    return _ANSWERED.get(value.upper()) if isinstance(value, str) else None


def sentence(value: Any) -> str:
    """A text of the carrier as a sentence; empty where the value is no text."""
    plain = clean(value).strip()[:300].rstrip(". ") if isinstance(value, str) else ""
    return f"{plain}." if plain else ""


def objects(holder: Mapping[str, Any], name: str, most: int = 100) -> list[dict[str, Any]]:
    """A list of objects of an object; null is an empty one."""
    value = holder.get(name) or []
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"“{name}” is not a list of at most {most} entries.")
    return [fields(entry, name) for entry in value]


def small_count(value: Any) -> int:
    """A number of segments, 1 where it is not a sensible one."""
    return value if type(value) is int and 1 <= value <= 255 else 1


def timestamp(written: Any) -> float | None:
    """A time of RFC 3339 with any number of decimals in seconds since 1970; else ``None``.

    >>> timestamp("2026-03-02T09:15:04.118230999Z"), timestamp("yesterday")
    (1772442904.11823, None)
    """
    try:
        at = datetime.fromisoformat(written)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.timestamp() if 2000 <= at.year < 2100 else None


def part_bytes(part: Any, whole: bytes) -> bytes:
    """A part of a JSON body by itself; the whole where it cannot be written (endless, too deep)."""
    try:
        return json.dumps(part, allow_nan=False).encode()
    except (RecursionError, ValueError):
        return whole


def listed_entry(part: Any) -> bytes:
    """An entry of a carrier's list as JSON, also with values that are not strictly JSON (NaN)."""
    try:
        return json.dumps(part).encode()
    except RecursionError:
        return b""


def file_name(address: str) -> str:
    """The name of the file at a web address, at most 100 characters."""
    return clean(unquote(address.partition("?")[0])).rpartition("/")[2][-100:]


def mail_timestamp(written: Any) -> float | None:
    """A time of RFC 2822, as in mails, in seconds since 1970; else ``None``.

    >>> mail_timestamp("Mon, 02 Mar 2026 09:15:04 +0000"), mail_timestamp("yesterday")
    (1772442904.0, None)
    """
    try:
        at = parsedate_to_datetime(written)
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError):
        return None
    return timestamp(at.isoformat())

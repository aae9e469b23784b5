"""Parser for Ringotel webhook events: messages that users write, and read receipts.

The body is ``{"method": …, "api_key": …, "params": {…}}``. A text has type 1. A file has type 2 and
its URL as the content.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.core.messages import clean

TEXT, FILES = "1", {"2", "7"}
MAX_ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A text or the URL of a file from an extension to ``peer``; ``id`` is Ringotel's."""

    id: str
    extension: str
    peer: str
    text: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """A user has read a chat session."""

    session: str


def parse_event(call: Mapping[str, Any]) -> ChatMessage | ReadReceipt | None:
    """Parse one webhook call; ``None`` for events that are not used here.

    Raises ``ValueError`` with a sentence for a call that cannot be read.
    """
    params = call.get("params")
    if not isinstance(params, dict):
        raise ValueError("“params” is not an object.")
    method = call.get("method")
    if method == "read":
        return ReadReceipt(_identifier(params, "sessionid"))
    if method != "message":
        return None
    kind = str(params.get("type", TEXT))
    content = params.get("content")
    if not isinstance(content, str):
        raise ValueError("“content” is not a text.")
    common = {"id": _identifier(params, "messageid"), "extension": _identifier(params, "from")}
    common["peer"] = _identifier(params, "to")
    if kind == TEXT:
        return ChatMessage(**common, text=clean(content))
    if kind in FILES:
        return ChatMessage(**common, file=clean(content))
    raise ValueError("“type” is neither a text (1) nor a file (2).")


def _identifier(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise ValueError(f"“{name}” is missing.")
    identifier = clean(str(value))
    if len(identifier) > MAX_ID_LENGTH:
        raise ValueError(f"“{name}” is longer than {MAX_ID_LENGTH} characters.")
    return identifier

"""What Ringotel posts to us: what was written in the app, and what was read there.

``{"method": …, "api_key": …, "params": {…}}``; a text has the type 1, a file 2 with its address as
the content.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.core.messages import clean

TEXT, FILES = "1", {"2", "7"}
MOST_ID = 200


@dataclass(frozen=True, slots=True)
class Written:
    """A text, or the address of a file, from an extension to ``peer``; ``id`` is Ringotel's."""

    id: str
    extension: str
    peer: str
    text: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class WasRead:
    """Somebody has read what is in a chat session."""

    session: str


def event(told: Mapping[str, Any]) -> Written | WasRead | None:
    """What a call says, or ``None`` where it concerns nobody here.

    Raises ``ValueError`` with a sentence for one that cannot be read.
    """
    params = told.get("params")
    if not isinstance(params, dict):
        raise ValueError("“params” is not an object.")
    method = told.get("method")
    if method == "read":
        return WasRead(_word(params, "sessionid"))
    if method != "message":
        return None
    kind = str(params.get("type", TEXT))
    content = params.get("content")
    if not isinstance(content, str):
        raise ValueError("“content” is not a text.")
    about = {"id": _word(params, "messageid"), "extension": _word(params, "from")}
    about["peer"] = _word(params, "to")
    if kind == TEXT:
        return Written(**about, text=clean(content))
    if kind in FILES:
        return Written(**about, file=clean(content))
    raise ValueError("“type” is neither a text (1) nor a file (2).")


def _word(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise ValueError(f"“{name}” is missing.")
    word = clean(str(value))
    if len(word) > MOST_ID:
        raise ValueError(f"“{name}” is longer than {MOST_ID} characters.")
    return word

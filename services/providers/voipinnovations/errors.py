"""VoIP Innovations' errors; the table is in errors.toml, and the carrier publishes none."""

import re
from collections.abc import Iterable
from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import clean
from services.http.client import Answer
from services.providers import error_table
from services.providers.error_table import with_consequence

TABLE = error_table.load(__file__)
PAUSE_SECONDS = 30.0  # after a 429 that names no time

_SECRET = re.compile(r"(api_secret\W{1,3})[^\s&\"'<>]+")
_XML = re.compile(r"<error(?:\s[^>]*)?>([^<]*)</error>")


def refusal(answer: Answer, secrets: Iterable[str], lost: Kind) -> SendError:
    """The error for an answer other than 2xx; ``secrets`` are removed from its text.

    After a 5xx it is not known whether the message was accepted.
    """
    kind, remedy = TABLE.for_status(answer.status)
    if answer.status < 400:
        kind, remedy = Kind.CONFIG, "Check APIDAZE_BASE_URL."
    elif answer.status >= 500:
        kind, remedy = Kind.UNKNOWN, "The text may have been taken."
    text = error_text(answer, secrets) or "no reason given."
    sentence = f"VoIP Innovations answered {answer.status}: {text}"
    sentence = f"{sentence} {remedy}" if remedy else with_consequence(sentence, kind, lost)
    pause = PAUSE_SECONDS if answer.status == 429 else None
    return SendError(
        sentence, kind, code=str(answer.status), retry_after=answer.retry_after or pause
    )


def error_text(answer: Answer, secrets: Iterable[str]) -> str:
    """The carrier's error text as a sentence, without secrets; empty where there is none.

    They are cut only after the secrets are gone: half a secret would be one as well.
    """
    text = _SECRET.sub(r"\1…", clean(_raw_text(answer)))
    for secret in secrets:
        text = text.replace(secret, "…")
    text = " ".join(text.split())[:300].rstrip(". ")
    return f"{text}." if text else ""


def _raw_text(answer: Answer) -> str:
    try:
        data = answer.json()
    except ValueError:
        found = _XML.search(answer.body.decode("utf-8", "replace"))
        return found[1] if found else ""
    if not isinstance(data, dict):
        return ""
    return next(filter(None, (_flat(data.get(n)) for n in ("error", "message", "errors"))), "")


def _flat(value: Any, depth: int = 3) -> str:
    """The texts in a value, however they are wrapped."""
    if isinstance(value, str):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "; ".join(filter(None, (_flat(part, depth - 1) for part in inner))) if depth else ""

"""Wavix's errors (https://docs.wavix.com/messaging/errors); the table is in errors.toml.

Wavix writes sentences, not numbers, both in its answers and in its delivery reports.
"""

import re

from services.core.errors import Kind, SendError
from services.core.messages import clean
from services.http.client import Answer
from services.providers import error_table
from services.providers.api_client import json_object
from services.providers.error_table import with_consequence

TABLE = error_table.load(__file__)
TOO_FAST = "26"
_NUMBER = re.compile(
    r"(?:error *)?(?:10)?0?([1-9][0-9]?)", re.ASCII | re.IGNORECASE
)  # by SMPP: 1000+
PAUSE_SECONDS = 5.0  # after a 429, for which Wavix documents no Retry-After


def explained(sentence: str) -> tuple[Kind, str | None, str]:
    """The kind, code and our sentence for Wavix's sentence about a message.

    The code is ``None`` for a sentence that is not known. Wavix's own text is always quoted.

    >>> explained("Message too long")[2]
    'The text is too long. Send it in parts. Wavix says: “Message too long”.'
    >>> explained("")
    (<Kind.REFUSED: 'refused'>, None, 'Wavix could not deliver the message and does not say why.')
    """
    if not sentence:
        return Kind.REFUSED, None, "Wavix could not deliver the message and does not say why."
    quoted = f"Wavix says: “{sentence[:200].rstrip('. ')}”."
    numbered = _NUMBER.fullmatch(sentence)
    known = TABLE.codes.get(numbered[1]) if numbered else TABLE.by_sentence(sentence)
    if known is not None:
        return known.kind, known.code, f"{known.reason} {quoted}"
    return Kind.REFUSED, None, f"Wavix could not deliver the message. {quoted}"


def refusal(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer other than 2xx, or for one that says ``"success": false``.

    Wavix does not document whether a request answered with 5xx was carried out: its kind is
    ``lost``, unless the reason is a known one.
    """
    text = _error_text(answer)
    kind, code, sentence = explained(text)
    if code is None:
        kind, remedy = TABLE.for_status(answer.status)
        if answer.status >= 500 and answer.status not in TABLE.http:
            kind = lost
        elif 300 <= answer.status < 400:
            kind, remedy = Kind.CONFIG, "Check WAVIX_BASE_URL."
        text = f"“{text}”." if text else "no reason given."
        sentence = f"Wavix answered {answer.status}: {text}"
        sentence = f"{sentence} {remedy}" if remedy else with_consequence(sentence, kind, lost)
    everything = code == TOO_FAST or (code is None and answer.status == 429)
    return SendError(
        sentence,
        kind,
        code=code or str(answer.status),
        retry_after=answer.retry_after or PAUSE_SECONDS if everything else None,
    )


def _error_text(answer: Answer) -> str:
    """Wavix's error text; empty where the answer has none in the usual form."""
    value = json_object(answer).get("message")
    return clean(value).strip()[:300].rstrip(". ") if isinstance(value, str) else ""

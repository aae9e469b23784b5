"""Bandwidth's errors (https://dev.bandwidth.com/docs/messaging/errors); the table: errors.toml."""

from typing import Any

from services.core.errors import MAY_WORK_LATER, Kind, SendError
from services.core.messages import clean
from services.http.client import Answer
from services.providers import error_table
from services.providers.api_client import json_object
from services.providers.bandwidth import basic_end
from services.providers.error_table import with_consequence

TABLE = error_table.load(__file__)
PAUSE_SECONDS = 30.0  # after a 429, for which Bandwidth documents no Retry-After


def explained(code: str, description: str) -> tuple[Kind, str]:
    """The kind and sentence of a failed message's code.

    ``retry`` means that the same message may pass later: it is not sent again by itself, because
    carriers bill and may have shown what they report as failed. ``description`` is Bandwidth's own
    wording, quoted where the code is not known.

    >>> explained("4499", "rejected-odd")[1]
    'Bandwidth rejected the message (“rejected-odd”).'
    """
    known = TABLE.codes.get(code)
    kind, sentence = (known or TABLE.by_prefix(code)).decision
    if known is None and description:
        sentence = f"{sentence.removesuffix('.')} (“{description[:120]}”)."
    return kind, f"{sentence} {MAY_WORK_LATER}" if kind is Kind.RETRY else sentence


def refusal(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer other than 2xx.

    Bandwidth documents that a request answered with an error in its own format was not carried out.
    A 5xx in any other format (a proxy's page) proves nothing: its kind is ``lost``.
    """
    data = json_object(answer)
    text = _error_text(data)
    kind, remedy = TABLE.for_status(answer.status)
    if answer.status < 400:
        kind, remedy = Kind.CONFIG, "Check BANDWIDTH_MESSAGE_BASE_URL."
    elif answer.status >= 500:
        kind, remedy = (Kind.RETRY, "") if text else (lost, "")
    elif any(field == "applicationId" for field, _ in _field_errors(data)):
        kind, remedy = Kind.CONFIG, "Check BANDWIDTH_APPLICATION_ID."
    sentence = f"Bandwidth answered {answer.status}: {text or 'no reason given.'}"
    sentence = f"{sentence} {remedy}" if remedy else with_consequence(sentence, kind, lost)
    return SendError(
        sentence,
        kind,
        code=_text(data.get("type")) or str(answer.status),
        retry_after=_pause(answer),
    )


def basic_ended(now: float) -> SendError:
    """The error for a send under Basic after its end; ``now`` is in seconds since 1970."""
    reason = f"BANDWIDTH_AUTH {basic_end.reason(now)} {basic_end.REMEDY}"
    return SendError(reason, Kind.CONFIG)


def basic_refused(answer: Answer, now: float) -> SendError:
    """The error for a 401 under Basic; ``now`` is in seconds since 1970."""
    said = refusal(answer, Kind.CONFIG)
    sentence = f"{said.reason} BANDWIDTH_AUTH {basic_end.reason(now)} {basic_end.REMEDY}"
    return SendError(sentence, Kind.CONFIG, code=said.code)


def not_signed_in(answer: Answer, now: float) -> SendError:
    """The error for a refused OAuth2 sign-in; ``now`` in seconds since 1970."""
    if answer.status in (408, 429) or answer.status >= 500:
        reason = f"Bandwidth's sign-in answered {answer.status}."
        return SendError(reason, Kind.RETRY, code=str(answer.status), retry_after=_pause(answer))
    older = "If they are of the older kind, set BANDWIDTH_AUTH=basic (until 2 December 2026), or "
    older += "create API credentials with the Messaging role."
    if basic_end.has_ended(now):
        older = "Those of an API user ended on 2 December 2026: create API credentials with the "
        older += "Messaging role."
    return SendError(
        f"Bandwidth's sign-in refused the credentials ({answer.status}). Check "
        f"BANDWIDTH_API_TOKEN and BANDWIDTH_API_SECRET. {older}",
        Kind.CONFIG,
        code=str(answer.status),
    )


def _pause(answer: Answer) -> float | None:
    if answer.status == 429:
        return answer.retry_after or PAUSE_SECONDS
    return answer.retry_after


def _error_text(data: dict[str, Any]) -> str:
    """Bandwidth's error text: of the faulty fields, of the request, or of its web framework."""
    fields = "; ".join(f"{field}: {error}" for field, error in _field_errors(data))
    text = fields or _text(data.get("description")) or _text(data.get("message"))
    text = text or _text(data.get("error")) or _text(data.get("type"))
    return f"{text[:300].rstrip('. ')}." if text else ""


def _field_errors(data: dict[str, Any]) -> list[tuple[str, str]]:
    errors = data.get("fieldErrors")
    return [
        (_text(error.get("fieldName")), _text(error.get("description")))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]


def _text(value: Any) -> str:
    return clean(value).strip() if isinstance(value, str) else ""

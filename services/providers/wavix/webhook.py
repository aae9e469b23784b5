"""Wavix's webhook: inbound messages and delivery reports, which its lists write alike.

https://docs.wavix.com/api-reference/sms-and-mms
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.core.errors import MAY_WORK_LATER, Kind
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
)
from services.core.phone_numbers import with_plus
from services.providers import parsing
from services.providers.wavix.errors import explained

# Any status of a message proves that Wavix has accepted it.
STATUSES = {
    "accepted": Status.SENT,
    "pending": Status.SENT,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "undelivered": Status.FAILED,
    "rejected": Status.FAILED,
    "expired": Status.FAILED,
    "dlr_expired": Status.SENT,
}
# The reason for a status where Wavix gives none.
REASONS = {
    "expired": "The message was too old when its turn came, and was not sent.",
    "dlr_expired": "The recipient's carrier has not confirmed the delivery. The text may well "
    "have arrived.",
}


def parse(call: WebhookCall, now: float) -> Iterable[Parsed]:
    """Read one event; ``now`` (seconds since 1970) is the time of a report that has none."""
    try:
        written = call.json()
    except ValueError as error:
        return [Unreadable(f"The body is not JSON: {error}", call.body)]
    parsed = event(written, call.body, now)
    return [] if parsed is None else [parsed]


def event(written: Any, body: bytes, now: float) -> Parsed | None:
    """A message, a delivery report, or ``None`` for one whose word is not known.

    What cannot be read is kept with ``body`` where it cannot be written by itself.
    """
    try:
        data = parsing.fields(written, "event")
        outbound = parsing.word(data, "direction") == "outbound"
        if "message_body" in data and not outbound:
            return _message(data)
        if "status" in data:
            word = parsing.word(data, "status", needed=True).lower()
            return status(data, word, now) if word in STATUSES else None
        raise ValueError("This is neither a message nor a delivery report.")
    except ValueError as error:
        return Unreadable(str(error), parsing.part_bytes(written, body))


def _message(data: Mapping[str, Any]) -> Message:
    """An inbound message, from the webhook or from the list, which calls its time otherwise."""
    body = parsing.fields(data.get("message_body"), "message_body")
    return Message(
        direction="in",
        number=with_plus(parsing.word(data, "to", needed=True)),
        peer=with_plus(parsing.address(data, "from")),
        text=parsing.text(body.get("text"), "text"),
        media=tuple(
            Attachment(source_url=link, name=parsing.file_name(link))
            for link in parsing.texts(body, "media")
        ),
        provider="wavix",
        provider_id=parsing.word(data, "message_id", needed=True),
        carrier_time=parsing.timestamp(data.get("received_at") or data.get("submitted_at")),
    )


def status(data: Mapping[str, Any], word: str, now: float) -> DeliveryStatus:
    """The status of a message, from a delivery report or from the list."""
    result = STATUSES.get(word, Status.SENT)
    detail = parsing.text(data.get("error"), "error") or parsing.text(
        data.get("error_message"), "error_message"
    )
    code, reason = None, REASONS.get(word)
    if result is Status.FAILED and (detail or reason is None):
        follows, code, reason = explained(detail.strip())
        # A duplicate is no failure: the message must not be sent again.
        result = Status.SENT if follows is Kind.UNKNOWN else result
        reason += f" {MAY_WORK_LATER}" if follows is Kind.RETRY else ""
    tag = parsing.word(data, "tag")
    times = ("delivered", "delivered_at", "sent", "sent_at", "submitted_at")
    known = (parsing.timestamp(data.get(name)) for name in times)
    return DeliveryStatus(
        status=result,
        event=word,
        provider_id=parsing.word(data, "message_id", needed=True),
        message_id=parsing.our_id(tag),
        peer=with_plus(parsing.word(data, "to")),
        code=code,
        reason=reason,
        at=next((at for at in known if at is not None), None) or now,
    )

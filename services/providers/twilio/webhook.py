"""Parsing of Twilio's inbound messages and statuses; each function raises ``ValueError``."""

import re
from collections.abc import Mapping
from typing import Any

from services.core.messages import Attachment, DeliveryStatus, Message, Status
from services.providers import parsing
from services.providers.twilio.errors import explained

# Any status of a message proves that Twilio has accepted it. "sent" can be the last one; "read"
# exists for RCS only.
STATUSES = {
    "accepted": Status.SENT,
    "scheduled": Status.SENT,
    "queued": Status.SENT,
    "sending": Status.SENT,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.DELIVERED,
    "partially_delivered": Status.DELIVERED,
    "undelivered": Status.FAILED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
}
_INBOUND = {"", "receiving", "received"}
_CANCELED = "The text was cancelled at Twilio before it was sent."
_CHANNEL = re.compile(r"([a-z]+):(.*)", re.ASCII)
_MOST_FILES = 100


def is_inbound(fields: Mapping[str, str]) -> bool:
    """Whether the fields of a call are an inbound message, and not the status of one of ours."""
    return _state(fields) in _INBOUND


def read_message(fields: Mapping[str, str]) -> Message:
    """An inbound message, also by WhatsApp or RCS. Twilio shows a group as messages of two."""
    provider_id = parsing.word(fields, "MessageSid", needed=True)
    links = (parsing.text(fields.get(f"MediaUrl{n}"), "MediaUrl") for n in range(_MOST_FILES))
    return Message(
        direction="in",
        number=parsing.word(fields, "To", needed=True),
        peer=parsing.address(fields, "From"),
        text=parsing.text(fields.get("Body"), "Body"),
        media=tuple(Attachment(source_url=link) for link in links if link),
        provider="twilio",
        provider_id=provider_id,
        segments=_segments(fields.get("NumSegments", "")),
        opt_out=parsing.answered_keyword(fields.get("OptOutType")),  # with Advanced Opt-Out only
    )


def read_status(fields: Mapping[str, str], our_id: str) -> DeliveryStatus | None:
    """The status of a message of ours; ``our_id`` is the id in the called address.

    ``None`` for a word that is not known.
    """
    state = _state(fields)
    if state not in STATUSES:
        return None
    peer = parsing.word(fields, "To")
    channel = _CHANNEL.match(peer)
    return delivery_status(
        state,
        parsing.word(fields, "MessageSid", needed=True),
        parsing.our_id(our_id),
        peer=channel[2] if channel else peer,
        code=parsing.word(fields, "ErrorCode"),
        detail=parsing.text(fields.get("ErrorMessage"), "ErrorMessage"),
    )


def read_listed_status(row: Mapping[str, Any], message: Message) -> DeliveryStatus:
    """The status of a message from its row in Twilio's list."""
    return delivery_status(
        parsing.word(row, "status"),
        parsing.word(row, "sid", needed=True),
        message.id,
        peer=message.peer,
        code=parsing.word(row, "error_code"),
        detail=parsing.text(row.get("error_message"), "error_message"),
    )


def delivery_status(
    state: str, provider_id: str, message_id: str | None, *, peer: str, code: str, detail: str
) -> DeliveryStatus:
    """The delivery status for Twilio's status word, with the reason of a failure."""
    status, reason = STATUSES.get(state, Status.SENT), None
    if status is Status.FAILED:
        reason = _CANCELED if state == "canceled" and not code else explained(code, detail)
    return DeliveryStatus(
        status=status,
        event=state,
        provider_id=provider_id,
        message_id=message_id,
        peer=peer,
        code=code or None if status is Status.FAILED else None,
        reason=reason,
    )


def _state(fields: Mapping[str, str]) -> str:
    return fields.get("MessageStatus") or fields.get("SmsStatus", "")


def _segments(written: str) -> int:
    return parsing.small_count(int(written) if written.isascii() and written.isdigit() else 1)

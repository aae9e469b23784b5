"""Telnyx's webhook: inbound messages, and statuses of ours, which the API formats alike.

https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks; for groups:
https://developers.telnyx.com/docs/messaging/messages/group-messaging; keywords that Telnyx has
answered: https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services.core.messages import Attachment, DeliveryStatus, Message, Parsed, Status
from services.providers import parsing
from services.providers.telnyx.errors import TABLE

OUTBOUND = ("message.sent", "message.finalized")
# A status of any kind says that Telnyx has taken the message. The recipients of a group may stay
# “unknown”; and a delivery that is not confirmed is no failure.
UNCONFIRMED = "delivery_unconfirmed"
STATUSES = {
    **dict.fromkeys(("queued", "sending", "sent", "unknown", UNCONFIRMED), Status.SENT),
    "delivered": Status.DELIVERED,
    **dict.fromkeys(("sending_failed", "delivery_failed", "expired"), Status.FAILED),
}
NOT_CONFIRMED = "The recipient's carrier has not confirmed the delivery. The text may have arrived."


def event(body: Any, now: float) -> Sequence[Parsed]:
    """Read one event; ``now`` (seconds since 1970) is the time of a receipt that has none.

    Raises ``ValueError`` for what cannot be read.
    """
    data = parsing.fields(parsing.fields(body, "body").get("data"), "data")
    kind = parsing.word(data, "event_type", needed=True)
    payload = parsing.fields(data.get("payload"), "payload")
    if kind == "message.received":
        return [_message(payload)]
    return statuses(payload, now) if kind in OUTBOUND else []


def _message(payload: Mapping[str, Any]) -> Message:
    """An inbound message; of a group, ``cc`` has all the others, and may have our own number."""
    sender, to = _number(payload.get("from")), _numbers(payload, "to")
    if not sender or not to:
        raise ValueError("“from” or “to” is missing.")
    others = tuple(dict.fromkeys(n for n in (sender, *to, *_numbers(payload, "cc")) if n != to[0]))
    files = parsing.objects(payload, "media")
    links = [parsing.word(file, "url", needed=True, most=4096) for file in files]
    return Message(
        direction="in",
        number=to[0],
        peer=sender,
        text=parsing.text(payload.get("text"), "text"),
        media=tuple(Attachment(source_url=at, name=parsing.file_name(at)) for at in links),
        participants=others if len(others) > 1 else (),
        provider="telnyx",
        provider_id=parsing.word(payload, "id", needed=True),
        segments=parsing.small_count(payload.get("parts")),
        carrier_time=parsing.timestamp(payload.get("received_at")),
        opt_out=parsing.answered_keyword(payload.get("autoresponse_type")),
    )


def statuses(payload: Mapping[str, Any], now: float) -> list[DeliveryStatus]:
    """The status of a message for each recipient whose status word is known.

    Our own id is in the ``webhook_url`` that we gave, which is signed with the rest of the body.
    """
    asked = parse_qs(urlsplit(parsing.text(payload.get("webhook_url"), "webhook_url")).query)
    error = next(iter(parsing.objects(payload, "errors")), {})
    found = []
    for recipient in parsing.objects(payload, "to"):
        word, code, reason = parsing.word(recipient, "status"), None, None
        status = STATUSES.get(word)
        if status is Status.FAILED:
            code = parsing.word(error, "code") or None
            title = parsing.text(error.get("title"), "title")
            reason = TABLE.explained("Telnyx", code or "", title)
        if status is not None:
            found.append(
                DeliveryStatus(
                    status=status,
                    event=f"{word} {code}" if code else word,
                    provider_id=parsing.word(payload, "id", needed=True),
                    message_id=parsing.our_id(asked.get("m", [""])[0]),
                    peer=_number(recipient),
                    code=code,
                    reason=NOT_CONFIRMED if word == UNCONFIRMED else reason,
                    at=parsing.timestamp(payload.get("completed_at") or payload.get("sent_at"))
                    or now,
                )
            )
    return found


def _numbers(payload: Mapping[str, Any], name: str) -> list[str]:
    """The phone numbers of a list, whose entries are documented as objects and as texts."""
    value = payload.get(name) or []
    entries = value if isinstance(value, list) else [value]
    return [number for entry in entries if (number := _number(entry))]


def _number(entry: Any) -> str:
    holder = entry if isinstance(entry, dict) else {"phone_number": entry}
    return parsing.text(holder.get("phone_number"), "phone_number")

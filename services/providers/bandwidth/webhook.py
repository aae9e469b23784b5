"""Bandwidth's webhook: inbound messages and delivery receipts, as a list of events.

https://dev.bandwidth.com/docs/messaging/webhooks
"""

from collections.abc import Iterable
from typing import Any

from services.core.errors import InvalidWebhook, Kind
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
)
from services.providers import parsing
from services.providers.bandwidth.errors import explained
from services.providers.proofs import Token

# Any event of a message proves that Bandwidth has accepted it. "message-sending" can be the last
# event; "message-read" exists for RBM (RCS) only.
STATUSES = {
    "message-sending": Status.SENT,
    "message-sent": Status.SENT,
    "message-delivered": Status.DELIVERED,
    "message-failed": Status.FAILED,
    "message-read": Status.DELIVERED,
}

MOST_MEMBERS = 1000  # of a group that comes in: Bandwidth documents no limit


class TokenWithBody(Token):
    """The token in the address, of a call that has a body.

    With a callback user set, Bandwidth first calls without credentials, and calls again only after
    a 401 that carries the challenge. Whether that first call has a body is not documented: one
    without is challenged in any case, or the message would never come.
    """

    def require_head(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` unless the token is right; the body comes later."""
        super().require(call)

    def require(self, call: WebhookCall) -> None:
        """Compare the token; refuse a call without a body."""
        super().require(call)
        if not call.body.strip():
            raise InvalidWebhook("The call has no body.")


def parse(call: WebhookCall, now: float) -> Iterable[Parsed]:
    """Read a list of events, or one by itself; each is read by itself.

    ``now`` (seconds since 1970) is the time of a receipt that has none.

    ``message.applicationId`` is not compared: a second application of the same account may serve
    some of our numbers, and the call has proved already that it comes from Bandwidth.
    """
    try:
        content = call.json()
    except ValueError as error:
        return [Unreadable(f"The body is not JSON: {error}", call.body)]
    events = content if isinstance(content, list) else [content]
    read = (_event(event, call.body, now) for event in events)
    return [parsed for parsed in read if parsed is not None]


def _event(event: Any, body: bytes, now: float) -> Parsed | None:
    try:
        kind = parsing.word(parsing.fields(event, "event"), "type", needed=True)
        if kind == "message-received":
            return _message(event)
        return _status(event, kind, now) if kind in STATUSES else None
    except ValueError as error:
        return Unreadable(str(error), parsing.part_bytes(event, body))


def _message(event: dict[str, Any]) -> Message | None:
    """An inbound message. Of a group, every number of ours gets an event with its own id."""
    message = parsing.fields(event.get("message"), "message")
    if parsing.word(message, "direction") == "out":
        return None  # a copy of our own message
    owner = parsing.word(message, "owner") or parsing.word(event, "to", needed=True)
    sender = parsing.address(message, "from")
    everybody = dict.fromkeys((sender, *parsing.texts(message, "to", most=MOST_MEMBERS)))
    others = tuple(n for n in everybody if n.removeprefix("+") != owner.removeprefix("+"))
    rich_text, rich_links = _rich_content(message.get("content"))
    return Message(
        direction="in",
        number=owner,
        peer=sender,
        text=parsing.text(message.get("text"), "text") or rich_text,
        media=tuple(
            Attachment(source_url=link, name=parsing.file_name(link))
            for link in (*parsing.texts(message, "media"), *rich_links)
            if not parsing.file_name(link).lower().endswith(".smil")
        ),
        participants=others if len(others) > 1 else (),
        provider="bandwidth",
        provider_id=parsing.word(message, "id", needed=True),
        segments=parsing.small_count(message.get("segmentCount")),
        carrier_time=parsing.timestamp(message.get("time")),
    )


def _rich_content(content: Any) -> tuple[str, list[str]]:
    """Text and files of an RCS message to an agent (RBM), which stand in an object of their own."""
    if not isinstance(content, dict):
        return "", []
    files = content.get("media")
    links = [
        link
        for file in (files if isinstance(files, list) else [files])
        if isinstance(file, dict)
        for link in parsing.texts(file, "fileUrl")
    ]
    return parsing.text(content.get("text"), "text"), links


def _status(event: dict[str, Any], kind: str, now: float) -> DeliveryStatus:
    """A delivery receipt. Of a group, every recipient has its own, all with one id.

    With another code a failure is another event: after an unconfirmed delivery (9902)
    Bandwidth may report later that it has failed.
    """
    message = parsing.fields(event.get("message"), "message")
    status, code, reason = STATUSES[kind], None, None
    if status is Status.FAILED:
        code = parsing.word(event, "errorCode") or None
        follows, reason = explained(code or "", parsing.word(event, "description"))
        # No confirmation is no failure: it must not be sent again as if it had not arrived.
        status = Status.SENT if follows is Kind.UNKNOWN else status
    tag = parsing.word(message, "tag")
    return DeliveryStatus(
        status=status,
        event=f"{kind} {code}" if code else kind,
        provider_id=parsing.word(message, "id", needed=True),
        message_id=parsing.our_id(tag),
        peer=parsing.word(event, "to"),
        code=code,
        reason=reason,
        at=parsing.timestamp(event.get("time")) or now,
    )

"""Twilio's list of messages (https://www.twilio.com/docs/messaging/api/message-resource)."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Parsed, Unreadable
from services.providers import parsing
from services.providers.twilio.api import Api
from services.providers.twilio.webhook import read_listed_status, read_message

SKEW_SECONDS = 60.0  # between Twilio's clock and ours


def sent_as(api: Api, message: Message, senders: Collection[str | None]) -> DeliveryStatus | None:
    """The first message with the same text to the same recipient that Twilio has of the time.

    Twilio lists no id of ours. ``date_sent`` is empty for what still waits there, so the list is
    not narrowed by it; it is read back, newest first, to the time of the message.
    """
    earliest, latest = message.created_at - SKEW_SECONDS, message.updated_at + SKEW_SECONDS
    found: dict[str, Any] | None = None
    for row in api.rows("Messages", "messages", {"To": message.peer}):
        at = parsing.mail_timestamp(row.get("date_created")) if isinstance(row, dict) else None
        if at is None or at > latest:
            continue
        if at < earliest:
            break
        if row.get("from") in (*senders, None, "") and _says(row, message):
            found = row
    if found is None:
        return None
    try:
        return read_listed_status(found, message)
    except ValueError as error:
        raise SendError(f"Twilio's list cannot be read: {error}", Kind.RETRY) from None


def _says(row: dict[str, Any], message: Message) -> bool:
    return (
        str(row.get("direction")).startswith("outbound")
        and str(row.get("body") or "").strip() == message.text.strip()
        and str(row.get("num_media") or 0) == str(len(message.media))
    )


def inbound_since(api: Api, since: float) -> Iterator[Parsed]:
    """The inbound messages from a time on; the list itself can be asked for whole days only."""
    day = datetime.fromtimestamp(since, UTC).date().isoformat()
    for row in api.rows("Messages", "messages", {"DateSent>": day}):
        if not isinstance(row, dict) or row.get("direction") != "inbound":
            continue
        at = parsing.mail_timestamp(row.get("date_sent"))
        if at is None or at >= since:
            yield inbound(api, row)


def inbound(api: Api, row: dict[str, Any]) -> Parsed:
    """Parse one inbound message of the list. Raises ``SendError`` if its files cannot be listed."""
    at = parsing.mail_timestamp(row.get("date_sent"))
    try:
        fields = {
            "MessageSid": parsing.word(row, "sid", needed=True),
            "From": parsing.text(row.get("from"), "from"),
            "To": parsing.word(row, "to"),
            "Body": parsing.text(row.get("body"), "body"),
            "NumSegments": parsing.word(row, "num_segments"),
        }
        if parsing.word(row, "num_media") not in ("", "0"):
            links = api.media(fields["MessageSid"])
            fields |= {f"MediaUrl{n}": link for n, link in enumerate(links)}
        return replace(read_message(fields), carrier_time=at)
    except ValueError as error:
        return Unreadable(str(error), parsing.listed_entry(row))

"""Look-up of a message's status in Bandwidth's list (``GET …/messages``).

The list goes back 14 days and shows neither texts nor tags: a message whose id we do not know is
found by its numbers and its time, and only where exactly one fits.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Status
from services.providers import parsing
from services.providers.bandwidth.api import Api
from services.providers.bandwidth.errors import explained

LOOKUP_SECONDS = 13 * 86_400.0
BEFORE, AFTER = 5.0, 120.0  # seconds around our time in which Bandwidth's time must lie

STATUSES = {
    "QUEUED": Status.SENT,
    "ACCEPTED": Status.SENT,
    "SENDING": Status.SENT,
    "SENT": Status.SENT,
    "DELIVERED": Status.DELIVERED,
    "FAILED": Status.FAILED,
    "UNDELIVERED": Status.FAILED,
}


def find_sent(api: Api, message: Message) -> DeliveryStatus | None:
    """The status of a message in the list; ``None`` where none fits, or more than one."""
    try:
        found = [
            status for entry in api.list_messages(_query(message)) if (status := _status(entry))
        ]
    except ValueError as error:
        raise SendError(f"Bandwidth's list cannot be read: {error}", Kind.RETRY) from None
    return found[0] if len(found) == 1 else None


def _query(message: Message) -> dict[str, str]:
    if message.provider_id:
        return {"messageId": message.provider_id}
    return {
        "sourceTn": message.number,
        "destinationTn": message.peer,
        "messageDirection": "OUTBOUND",
        "fromDateTime": list_time(message.created_at - BEFORE),
        "toDateTime": list_time(message.updated_at + AFTER),
    }


def _status(entry: Mapping[str, Any]) -> DeliveryStatus | None:
    word = parsing.word(entry, "messageStatus")
    status, code, reason = STATUSES.get(word), None, None
    if status is None:
        return None
    if status is Status.FAILED:
        code = parsing.word(entry, "errorCode") or None
        follows, reason = explained(code or "", "")
        status = Status.SENT if follows is Kind.UNKNOWN else status
    return DeliveryStatus(
        status=status,
        event=f"list:{word}",
        provider_id=parsing.word(entry, "messageId", needed=True),
        peer=parsing.word(entry, "destinationTn"),
        code=code,
        reason=reason,
    )


def list_time(at: float) -> str:
    """A time as the list wants it: milliseconds, and Z."""
    when = datetime.fromtimestamp(at, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

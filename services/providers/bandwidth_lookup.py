"""Bandwidth's list of messages (``GET …/messages``): what became of one, and whether we may ask.

The list goes back 14 days and shows neither texts nor tags: a message whose id we do not know is
told by its numbers and its time, and only where nothing else fits.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Status
from services.providers import reading
from services.providers.bandwidth_api import Api
from services.providers.bandwidth_errors import explained
from services.providers.base import Finding

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
    """What the list says of a message; ``None`` without a trace, or with more than one."""
    try:
        found = [told for entry in api.list_messages(_query(message)) if (told := _told(entry))]
    except ValueError as error:
        raise SendError(f"Bandwidth's list cannot be read: {error}", Kind.RETRY) from None
    return found[0] if len(found) == 1 else None


def check(api: Api, numbers: Sequence[str]) -> Iterator[Finding]:
    """Whether the credentials are taken; what a number may do, this API does not tell."""
    api.list_messages({"messageDirection": "OUTBOUND", "fromDateTime": _time(_now() - 60.0)})
    yield Finding(True, "Bandwidth accepts the credentials.")
    for number in numbers:
        yield Finding(
            True,
            f"{number}: see in the dashboard that it is in a location with messaging enabled, "
            "linked to your application, and registered (10DLC or toll-free verification).",
        )


def _query(message: Message) -> dict[str, str]:
    if message.provider_id:
        return {"messageId": message.provider_id}
    return {
        "sourceTn": message.number,
        "destinationTn": message.peer,
        "messageDirection": "OUTBOUND",
        "fromDateTime": _time(message.created_at - BEFORE),
        "toDateTime": _time(message.updated_at + AFTER),
    }


def _told(entry: Mapping[str, Any]) -> DeliveryStatus | None:
    word = reading.word(entry, "messageStatus")
    status, code, reason = STATUSES.get(word), None, None
    if status is None:
        return None
    if status is Status.FAILED:
        code = reading.word(entry, "errorCode") or None
        follows, reason = explained(code or "", "")
        status = Status.SENT if follows is Kind.UNKNOWN else status
    return DeliveryStatus(
        status=status,
        event=f"list:{word}",
        provider_id=reading.word(entry, "messageId", needed=True),
        peer=reading.word(entry, "destinationTn"),
        code=code,
        reason=reason,
    )


def _time(at: float) -> str:
    """A time as the list wants it: milliseconds, and Z."""
    when = datetime.fromtimestamp(at, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> float:
    return datetime.now(UTC).timestamp()

"""Wavix's list of messages: the status of one of ours, and inbound messages.

https://docs.wavix.com/api-reference/sms-and-mms
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Parsed
from services.providers import parsing
from services.providers.wavix.api import Api
from services.providers.wavix.webhook import event, status

DAY = 86_400.0


def find_sent(api: Api, message: Message, now: float) -> DeliveryStatus | None:
    """Look for our id among the tags; ``now`` is in seconds since 1970. Raises ``SendError``.

    The dates of the list have no time zone, so that a day more is asked for on each side.
    """
    sent = api.messages(
        type="outbound",
        tag=message.id,
        sent_after=_date(message.created_at - DAY),
        sent_before=_date(now + DAY),
    )
    for data in sent:
        if isinstance(data, dict) and data.get("tag") == message.id:
            try:
                return status(data, parsing.word(data, "status").lower(), now)
            except ValueError as error:
                reason = f"What Wavix has of the message cannot be read: {error}"
                raise SendError(reason, Kind.RETRY) from None
    return None


def missed(api: Api, since: float, now: float) -> Iterator[Parsed]:
    """Inbound messages from a time on (seconds since 1970). Raises ``SendError``.

    The list knows days only; earlier messages of the first day are left out.
    """
    listed = api.messages(
        type="inbound", sent_after=_date(since - DAY), sent_before=_date(now + DAY)
    )
    for data in listed:
        parsed = event(data, parsing.listed_entry(data), now)
        if isinstance(parsed, Message) and (parsed.carrier_time or since) < since:
            continue
        if parsed is not None and not isinstance(parsed, DeliveryStatus):
            yield parsed


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()

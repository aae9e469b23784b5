"""Rows of a message history, read as messages of Textbridge."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.core.errors import NumberError
from services.core.messages import Message, Status, clean, derived_uuid7
from services.core.phone_numbers import own_number, sender
from services.core.segments import count
from services.message_settings import EXTENSION
from services.operations.migration.csv_files import INBOUND, OUTBOUND
from services.operations.migration.numbers import carrier_key
from services.operations.migration.source import TextRow

MOST_REASON = 300
MOST_TEXT = 100_000  # characters
FUTURE_SECONDS = 86_400.0
SENT = frozenset({"sent", "success", "successful", "accepted", "submitted", "ok", "1", "true"})
DELIVERED = frozenset({"delivered", "read"})
ON_ITS_WAY = frozenset({"queued", "sending", "waiting", "scheduled", "pending"})
NOT_SENT = "The system that it comes from does not say that it was sent."


class LeftOut(Exception):
    """A row is not taken; the argument is the reason, as a sentence."""


class NoTime(LeftOut):
    """A row is not taken because it has no time, or one that cannot be."""


@dataclass(eq=False)
class TextReader:
    """Reads rows of a source as messages.

    ``numbers`` are ours with their carriers, ``carriers`` our names of carriers by those of the
    other system (``carrier_key``). Rows before ``since`` (seconds since 1970) are not wanted.
    """

    source_name: str
    numbers: Mapping[str, str]
    carriers: Mapping[str, str]
    country: str
    since: float
    now: float = field(default_factory=time.time)

    def read(self, row: TextRow) -> Message:
        """The message of a row, with all its files as missing. Raises ``LeftOut``, ``NoTime``.

        It may be one that is not wanted, see ``require_wanted``.
        """
        direction = row.direction.strip().casefold()
        if direction not in INBOUND | OUTBOUND:
            raise LeftOut("It does not say whether it was received or sent.")
        if row.at is None or not 0 < row.at <= self.now + FUTURE_SECONDS:
            raise NoTime("It has no time, or one that cannot be.")
        try:
            number = own_number(row.number, self.country)
        except NumberError:
            raise LeftOut("Your number in it cannot be read.") from None
        if not row.peer.strip():
            raise LeftOut("It does not say who is on the other side.")
        text = clean(row.text)
        if not text.strip() and not row.files:
            raise LeftOut("It has no text and no file.")
        carrier = self.carriers.get(carrier_key(row.carrier)) or self.numbers.get(number, "")
        message = Message(
            direction="out" if direction in OUTBOUND else "in",
            number=number,
            peer=sender(row.peer, self.country),
            text=text[:MOST_TEXT],
            provider=carrier,
            provider_id=clean(row.carrier_id)[:200] if row.carrier_id and carrier else None,
            id=derived_uuid7(row.at, "migrated", self.source_name, row.key),
            created_at=row.at,
            updated_at=row.at,
            carrier_time=row.at if direction in INBOUND else None,
        )
        return self._sent(message, row) if direction in OUTBOUND else message

    def read_undated(self, row: TextRow) -> Message:
        """The message of a row without a time, as if it came now. Raises ``LeftOut``."""
        return self.read(replace(row, at=self.now))

    def require_wanted(self, message: Message) -> None:
        """Raise ``LeftOut`` for one of a number that Message Settings do not have, or too old."""
        if message.number not in self.numbers:
            raise LeftOut("Its number is not in Message Settings.")
        if message.created_at < self.since:
            raise LeftOut("It is older than what is kept or asked for.")

    def _sent(self, message: Message, row: TextRow) -> Message:
        status, reason = _status(row)
        extension = row.extension.strip()
        return replace(
            message,
            status=status,
            error_reason=reason,
            extension=extension if EXTENSION.match(extension) else None,
            segments=1 if row.files else count(message.text).count,
        )


def _status(row: TextRow) -> tuple[Status, str | None]:
    """The state of a sent message, and the reason of a failure.

    None of them is queued here: nothing may ever send it again.
    """
    word = row.status.strip().casefold()
    if word in DELIVERED:
        return Status.DELIVERED, None
    if word in SENT or (word in ON_ITS_WAY and row.carrier_id):
        return Status.SENT, None
    return Status.FAILED, clean(row.reason).strip()[:MOST_REASON] or NOT_SENT

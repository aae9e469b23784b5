"""Reading again, once, what older versions have put into quarantine because of its sender."""

from functools import partial

import structlog

from services.core.errors import RequestRefused
from services.messaging.replay import Replay
from services.store import counters, quarantine
from services.store.database.store import Store

log = structlog.get_logger()
PROGRESS = "senders reread"  # counter: the last id that was read again; a migration sets it to 0
DONE = -1
BATCH = 100
# The reasons of versions before 0.2, as patterns of SQL: a sender was no number and no usual name,
# was too long, or came by another way than SMS.
REASONS = (
    "“%” is neither a phone number nor a short code nor a name.",
    "“%” is not a phone number. %",
    "“%” is not a complete phone number. %",
    "“%” is longer than 255 characters.",
    "This came by %, which Textbridge does not carry.",
)


class Reread:
    """Delivers the texts that wait in quarantine for a reason that is none any more."""

    def __init__(self, store: Store, replay: Replay) -> None:
        self._store = store
        self._replay = replay

    def run(self) -> bool:
        """Read the next calls again; returns whether there may be more.

        What still cannot be read stays where it is. Raises ``StorageUnwell``; the next call goes on
        from the call that was read last.
        """
        reached = self._store.read(partial(counters.value, name=PROGRESS))
        if reached is None or reached == DONE:
            return False
        ids = self._store.read(
            partial(quarantine.waiting_because, reasons=REASONS, after=reached, limit=BATCH)
        )
        for row_id in ids:
            self._read_again(row_id)
            self._store.write(partial(counters.put, name=PROGRESS, value=row_id))
        if not ids:
            self._store.write(partial(counters.put, name=PROGRESS, value=DONE))
        return bool(ids)

    def _read_again(self, row_id: int) -> None:
        try:
            outcomes = self._replay.replay(row_id)
        except RequestRefused as error:
            log.info("stays in quarantine", id=row_id, reason=error.reason)
            return
        for outcome, message_id in outcomes:
            log.info("read again", id=row_id, outcome=outcome, message_id=message_id)

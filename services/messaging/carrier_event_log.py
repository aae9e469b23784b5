"""Records the last events of each carrier for the operator, rate-limited."""

import time
from contextlib import suppress

from services.core.errors import StorageUnwell
from services.store import carrier_events
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store

INTERVAL_SECONDS = 30.0
MOST_CHARACTERS = 500


class CarrierEventLog:
    """Records that something happened with a carrier, each kind of event every 30 seconds at most.

    Only the operator's view depends on it, so a full disk is no error here.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[tuple[str, CarrierEventKind], float] = {}

    def note(self, provider: str, event: CarrierEventKind, detail: str = "") -> None:
        """Record an event that happens now; ``detail`` say more about it."""
        now = time.monotonic()
        if now - self._noted.get((provider, event), -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            return
        self._noted[provider, event] = now
        with suppress(StorageUnwell):
            self._store.write(
                lambda tx: carrier_events.put(tx, provider, event, detail[:MOST_CHARACTERS])
            )

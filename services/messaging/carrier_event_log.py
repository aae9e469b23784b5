"""Notes what happens with the carriers, for the operator's eyes, at next to no cost."""

import time
from contextlib import suppress

from services.core.errors import StorageUnwell
from services.store import carrier_events
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store

SELDOM_SECONDS = 30.0
MOST_CHARACTERS = 500


class CarrierEventLog:
    """Writes down that something happened with a carrier, each kind of thing now and then only.

    Without it nothing would be lost but the operator's view, so a full disk stops nobody here.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[tuple[str, CarrierEventKind], float] = {}

    def note(self, provider: str, event: CarrierEventKind, words: str = "") -> None:
        """Something happened with a carrier just now."""
        now = time.monotonic()
        if now - self._noted.get((provider, event), -SELDOM_SECONDS) < SELDOM_SECONDS:
            return
        self._noted[provider, event] = now
        with suppress(StorageUnwell):
            self._store.write(
                lambda tx: carrier_events.put(tx, provider, event, words[:MOST_CHARACTERS])
            )

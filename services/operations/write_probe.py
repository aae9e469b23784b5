"""Write probe of ``/ready``: whether the database takes a durable write, seldom tried.

``/ready`` answers every caller. So a success counts for some seconds, for all callers and calls;
callers at the same time wait for one attempt and share its result.
"""

import math
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, update

from services.core.errors import StorageUnwell
from services.store.database.schema import counters
from services.store.database.store import Store

VALID_SECONDS = 5.0


class WriteProbe:
    """Tries to write, at most every five seconds while it succeeds."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns seconds that only grow."""
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._succeeded_at = -math.inf
        self._attempts = 0
        self._problem = ""

    def problem(self) -> str:
        """Why nothing can be written now; empty if it can, or could some seconds ago."""
        if self._is_fresh():
            return ""
        before = self._attempts
        with self._lock:
            # An attempt that began before this caller came says nothing about now, but one that
            # began and ended while it waited does.
            if self._attempts < before + 2 and not self._is_fresh():
                self._problem = self._attempt()
                self._attempts += 1
            return self._problem

    def _is_fresh(self) -> bool:
        return self._clock() - self._succeeded_at < VALID_SECONDS

    def _attempt(self) -> str:
        began = self._clock()
        try:
            self._store.write(_write_nothing_new)
        except StorageUnwell as error:
            self._succeeded_at = -math.inf
            return f"{error} Look at its disk and its permissions."
        self._succeeded_at = began
        return ""


def _write_nothing_new(tx: Connection) -> None:
    """A write that takes the writer's lock and reaches the disk, and changes nothing in the end.

    There and back, as SQLite does not write a row that stays as it is.
    """
    for step in (1, -1):
        changed = update(counters).where(counters.c.name == "seq")
        tx.execute(changed.values(value=counters.c.value + step))

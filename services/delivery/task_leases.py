"""Leases of one worker on tasks that one worker at a time does.

Such tasks are processing the inbox of a carrier, so that the texts of a conversation keep their
order, listening on a channel at which one account registers, and looking into the mailbox. A worker
renews its leases every two seconds; when it hangs or is gone, another one has them within ten.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from sqlalchemy import Connection

from services.core.errors import StorageUnwell
from services.store import leases
from services.store.database.store import Store

LEASE_SECONDS = 7.0
RENEW_SECONDS = 2.0
RETRY_SECONDS = 0.5  # between two attempts to get leases that another worker has


class TaskLeases:
    """The leases of one worker. It must have a heartbeat in the database, or they do not hold."""

    def __init__(self, store: Store, names: Iterable[str], owner: str) -> None:
        self._store = store
        self._names = sorted(names)
        self._owner = owner
        self._held: frozenset[str] = frozenset()
        self._next_renewal = 0.0  # both in seconds of the monotonic clock
        self._ends = 0.0

    def held(self) -> frozenset[str]:
        """The names of the leases that this worker has now; renews them when it is time.

        Raises ``StorageUnwell``.
        """
        now = time.monotonic()
        if now >= self._next_renewal:
            self._held = self._store.write(self._renew, durable=False)
            self._ends = now + LEASE_SECONDS
            has_all = len(self._held) == len(self._names)
            self._next_renewal = time.monotonic() + (RENEW_SECONDS if has_all else RETRY_SECONDS)
        # A process that was stopped for a while must not trust what it had.
        return self._held if time.monotonic() < self._ends else frozenset()

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew them in the background, where one step of the block may take longer than they last.

        So a server that answers slowly does not have two workers that ask it.
        """
        done = Event()
        renewing = Thread(target=self._renew_until, args=(done,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()

    def _renew_until(self, done: Event) -> None:
        while not done.wait(RETRY_SECONDS):
            with suppress(StorageUnwell):  # who works notices that a lease ends
                self.held()

    def release(self) -> None:
        """Let another worker have them at once. Raises ``StorageUnwell``."""
        self._store.write(lambda tx: leases.release(tx, self._names, self._owner))
        self._held, self._next_renewal = frozenset(), math.inf

    def _renew(self, tx: Connection) -> frozenset[str]:
        return frozenset(leases.acquire(tx, self._names, self._owner, LEASE_SECONDS))

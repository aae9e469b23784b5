"""Leasing of due jobs: which jobs a worker may begin now, and how many.

The SQL is in ``store.job_leasing``.
"""

import time
from collections.abc import Callable, Collection, Mapping
from itertools import chain

from sqlalchemy import Connection

from services.delivery.lease_at_once import LeaseAtOnce
from services.providers.base import Provider
from services.store import circuit_breakers, job_leasing, rate_limits
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job

LONGEST_SLEEP = 1.0  # seconds
NEXT_LOOK = 0.05  # seconds after a claim: it looks at a limited number of due jobs
PARKED_SECONDS = 1.0  # between two looks at parked jobs


class Leasing:
    """Leases due jobs: for each destination within its free slots and its rate limit.

    Each destination is paused and limited separately. A carrier has one for each kind of job; a
    push channel may have several, one for each host: ``push:webpush:push.example.com``.
    """

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], channels: Collection[str]
    ) -> None:
        """``channels`` are the names of the push channels that are on."""
        self._store = store
        self._providers = providers
        kinds = ("send", "fetch", "reconcile")
        carriers = {f"{kind}:{name}" for name in providers for kind in kinds}
        self._served = {*carriers, *(f"push:{name}" for name in channels), "email"}
        self._next_parked = 0.0
        self._parked_after = ""  # the lane after which the next look at parked jobs begins

    def take(self, owner: str, free_slots: Callable[[str], int]) -> tuple[list[Job], float]:
        """Lease the jobs that may begin; returns them and the seconds until the next is due.

        ``owner`` is the worker's id; ``free_slots`` returns how many more jobs of a destination it
        may have in hand. A power cut may undo a lease; then the job is due again, as if its worker
        had died. That a send begins is committed by itself, see ``Sender``.
        """
        self._release_parked()
        due, wait = self._store.read(lambda tx: self._look(tx, free_slots))
        if not due:
            return [], wait
        leased = self._store.write(
            lambda tx: self._lease(tx, owner, due, free_slots), durable=False
        )
        return leased, min(wait, NEXT_LOOK) if leased else 0.0

    def _release_parked(self) -> None:
        """Release the parked jobs that nothing blocks any more; a look at some of them a second."""
        if time.monotonic() < self._next_parked:
            return
        self._next_parked = time.monotonic() + PARKED_SECONDS
        free, self._parked_after = self._store.read(
            lambda tx: job_leasing.unblocked_parked(tx, self._parked_after, clock.now(tx))
        )
        if free:
            self._store.write(lambda tx: job_leasing.release(tx, free), durable=False)

    def at_once(self, owner: str, free_slots: Callable[[str], int]) -> LeaseAtOnce:
        """Leases for the new jobs of one transaction; the parameters are as for ``take``."""
        return LeaseAtOnce(owner, self._is_unlimited, free_slots)

    def _is_unlimited(self, destination: str) -> bool:
        return self._is_served(destination) and self._rate(destination) is None

    def _is_served(self, destination: str) -> bool:
        return ":".join(destination.split(":", 2)[:2]) in self._served

    def _lease(
        self, tx: Connection, owner: str, due: list[str], free_slots: Callable[[str], int]
    ) -> list[Job]:
        now = clock.now(tx)
        leased = (
            job_leasing.lease(tx, owner, name, self._allowed(tx, name, free_slots(name), now), now)
            for name in due
        )
        return list(chain.from_iterable(leased))

    def _look(self, tx: Connection, free_slots: Callable[[str], int]) -> tuple[list[str], float]:
        """The destinations with a due job, and the seconds until the next one has one."""
        now = clock.now(tx)
        paused = {pause.name for pause in circuit_breakers.unwell(tx) if pause.until > now}
        firsts = {
            name: max(first, self._opens(tx, name, now))
            for name, first in job_leasing.first_due(tx).items()
            if self._is_served(name) and name not in paused and free_slots(name) > 0
        }
        due = [name for name, first in firsts.items() if first <= now]
        later = [first - now for first in firsts.values() if first > now]
        return due, min([*later, LONGEST_SLEEP])

    def _allowed(self, tx: Connection, destination: str, free_slots: int, now: float) -> int:
        """How many jobs of a destination may begin within its carrier's rate limit."""
        rate = self._rate(destination)
        if rate is None:
            return free_slots
        return max(0, min(free_slots, int((now - self._opens(tx, destination, now)) * rate) + 1))

    def _opens(self, tx: Connection, destination: str, now: float) -> float:
        """The time from which a destination's rate limit allows another message."""
        if self._rate(destination) is None:
            return 0.0
        return rate_limits.allowed_at(tx, destination.partition(":")[2], now)

    def _rate(self, destination: str) -> float | None:
        kind, _, name = destination.partition(":")
        provider = self._providers.get(name) if kind == "send" else None
        return provider.rate if provider is not None else None

"""Claims: which jobs are due, and how many of them a worker may begin now."""

import time
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from services.store import circuit_breakers, jobs, rate_limits
from services.store.jobs import Job

if TYPE_CHECKING:
    from services.gateway import Gateway

LONGEST_SLEEP = 1.0  # seconds


class Leasing:
    """Leases due jobs: of each destination as many as there is room for, and its pace allows.

    A destination is paused, and limited, apart from the others. A carrier has one for each kind of
    job; a push channel may have several, one for each host: ``push:webpush:push.example.com``.
    """

    def __init__(self, gateway: "Gateway") -> None:
        self._house = gateway
        self._store = gateway.store

    def take(self, owner: str, room: Callable[[str], int]) -> tuple[list[Job], float]:
        """Lease what may begin; returns it, and the seconds until the next job is due.

        ``owner`` is the worker's id, ``room`` says how many more jobs a destination may have in
        hand. A claim of pushes alone may be undone by a power cut: then they are pushed again.
        """
        now = time.time()
        due, wait = self._store.read(lambda tx: self._look(tx, room, now))
        if not due:
            return [], wait
        claimed = self._store.write(
            lambda tx: [
                jobs.lease(tx, owner, name, self._turns(tx, name, room(name), now), now)
                for name in due
            ],
            durable=not all(name.startswith("push:") for name in due),
        )
        return list(chain.from_iterable(claimed)), wait

    def _served(self) -> set[str]:
        house = self._house
        kinds = ("send", "fetch", "reconcile")
        carriers = {f"{kind}:{name}" for name in house.providers for kind in kinds}
        return {*carriers, *(f"push:{name}" for name in house.channels), "email"}

    def _look(
        self, tx: Connection, room: Callable[[str], int], now: float
    ) -> tuple[list[str], float]:
        """The destinations that have something due, and the seconds until another has."""
        served = self._served()
        paused = {pause.name for pause in circuit_breakers.unwell(tx) if pause.until > now}
        firsts = {
            name: max(first, self._opens(tx, name, now))
            for name, first in jobs.first_due(tx).items()
            if ":".join(name.split(":", 2)[:2]) in served and name not in paused and room(name) > 0
        }
        due = [name for name, first in firsts.items() if first <= now]
        later = [first - now for first in firsts.values() if first > now]
        return due, min([*later, LONGEST_SLEEP])

    def _turns(self, tx: Connection, destination: str, room: int, now: float) -> int:
        """How many jobs of a destination may be begun: no more than its carrier's pace allows."""
        rate = self._rate(destination)
        if rate is None:
            return room
        return max(0, min(room, int((now - self._opens(tx, destination, now)) * rate) + 1))

    def _opens(self, tx: Connection, destination: str, now: float) -> float:
        """From when on the pace of a destination's carrier allows another message."""
        if self._rate(destination) is None:
            return 0.0
        return rate_limits.allowed_at(tx, destination.partition(":")[2], now)

    def _rate(self, destination: str) -> float | None:
        kind, _, name = destination.partition(":")
        provider = self._house.providers.get(name) if kind == "send" else None
        return provider.rate if provider is not None else None

"""Leasing of new jobs in the transaction that adds them, where they may begin at once.

So a new text needs no second transaction before it is pushed. Every other job is added as due, and
``leasing`` leases it in its turn.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from services.store import circuit_breakers, jobs
from services.store.database import clock
from services.store.jobs import Job


class LeaseAtOnce:
    """Adds the jobs of one transaction; ``leased`` are those that may begin when it is committed.

    A job may begin if its destination is served, not paused, has a free slot and no other due job,
    and if no earlier job of its lane is open.
    """

    def __init__(
        self,
        owner: str,
        is_unlimited: Callable[[str], bool],
        free_slots: Callable[[str], int],
    ) -> None:
        """``owner`` is the worker's id; ``free_slots`` is as for ``Leasing.take``.

        ``is_unlimited`` returns whether a destination is served here and has no rate limit.
        """
        self._owner = owner
        self._is_unlimited = is_unlimited
        self._free_slots = free_slots
        self.leased: list[Job] = []

    def begin(self, tx: Connection) -> Callable[[Connection, Iterable[Job]], None]:
        """Begin an attempt at a transaction; returns the function that adds its jobs."""
        self.leased = []
        self._now = clock.now(tx)
        self._paused = {p.name for p in circuit_breakers.unwell(tx) if p.until > self._now}
        self._open: dict[str, bool] = {}
        self._taken: Counter[str] = Counter()
        return self._add

    def _add(self, tx: Connection, new: Iterable[Job]) -> None:
        new = list(new)
        lanes = {job.lane for job in new if job.lane and self._is_open(tx, job.destination)}
        taken_lanes = jobs.taken_lanes(tx, lanes)
        chosen = []
        for job in new:
            if self._may_begin(tx, job) and job.lane not in taken_lanes:
                self._taken[job.destination] += 1
                chosen.append(jobs.leased(job, self._owner))
            else:
                chosen.append(job)
            if job.lane:
                taken_lanes.add(job.lane)
        self.leased += [job for job in jobs.add(tx, chosen) if job.owner is not None]

    def _may_begin(self, tx: Connection, job: Job) -> bool:
        return (
            job.due <= time.time()
            and self._is_open(tx, job.destination)
            and self._free_slots(job.destination) > self._taken[job.destination]
        )

    def _is_open(self, tx: Connection, destination: str) -> bool:
        if destination not in self._open:
            self._open[destination] = (
                self._is_unlimited(destination)
                and destination not in self._paused
                and not jobs.has_due(tx, destination, self._now)
            )
        return self._open[destination]

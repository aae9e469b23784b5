"""Delivery: processes the inbox, leases due jobs, performs each by the part for its kind."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from sqlalchemy import Connection

from services.config.metrics import DELIVERY_SECONDS, JOBS
from services.core.errors import DeliveryError, Kind, StorageUnwell
from services.delivery.leasing import Leasing
from services.delivery.outcome import Outcomes
from services.delivery.push_delivery import PushDelivery, record_accepted
from services.messaging.process import Processor, Work
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

log = structlog.get_logger()


class Delivery:
    """Processes inbound calls and performs jobs; ``Outcomes`` decides what follows a failure."""

    def __init__(
        self,
        store: Store,
        processor: Processor,
        leasing: Leasing,
        pushes: PushDelivery,
        others: Mapping[JobKind, Callable[[Job], None]],
        outcomes: Outcomes,
    ) -> None:
        """``others`` performs the jobs of each kind that is not a push."""
        self._store = store
        self._processor = processor
        self._leasing = leasing
        self._pushes = pushes
        self._perform = {JobKind.PUSH: pushes.push, **others}
        self._outcomes = outcomes

    def process_inbox(
        self,
        owner: str,
        carriers: Collection[str],
        free_slots: Callable[[str], int],
        start: Callable[[Job], object],
        spawn: Callable[[Work], object],
    ) -> bool:
        """Process calls of the inbox and start their jobs; record accepted pushes beside it.

        ``carriers`` are the leases that the worker has, see ``Processor.process_batch``; the other
        parameters are as for ``deliver``. Returns whether there may be more calls. Raises
        ``StorageUnwell``.
        """
        leases = self._leasing.at_once(owner, free_slots)
        accepted = self._pushes.take_accepted()

        def record(tx: Connection) -> None:
            record_accepted(tx, accepted)

        try:
            processed = self._processor.process_batch(
                carriers, add_jobs=leases.begin, also=record, spawn=spawn
            )
            if accepted and not processed.committed:
                self._store.write(record, durable=False)
        except StorageUnwell:
            self._pushes.put_back(accepted)
            raise
        if processed.committed:
            self._begin(leases.leased, start)
        return processed.more

    def deliver(
        self, owner: str, free_slots: Callable[[str], int], start: Callable[[Job], object]
    ) -> float:
        """Lease due jobs and hand each to ``start``, see ``Leasing.take``.

        Returns the seconds until the next job is due.
        """
        begun, wait = self._leasing.take(owner, free_slots)
        self._begin(begun, start)
        return wait

    def finish(self) -> None:
        """Record the pushes that were accepted last; repeats until the database takes it."""
        accepted = self._pushes.take_accepted()
        if accepted:
            self._outcomes.record(lambda tx: record_accepted(tx, accepted), durable=False)

    def _begin(self, leased: Sequence[Job], start: Callable[[Job], object]) -> None:
        self._pushes.begin(leased)
        for job in leased:
            start(job)

    def perform(self, job: Job) -> None:
        """Perform one leased job and record its outcome."""
        structlog.contextvars.bind_contextvars(message_id=job.message_id, job=job.id)
        try:
            self._perform[job.kind](job)
        except DeliveryError as error:
            self._outcomes.settle(job, error)
        except StorageUnwell as error:  # nothing was sent then, see ``Outcomes.record``
            self._outcomes.settle(job, DeliveryError(str(error), Kind.RETRY))
        else:
            JOBS.labels(job.kind, "done").inc()
            DELIVERY_SECONDS.labels(job.kind).observe(max(0.0, time.time() - job.created_at))
            log.info("done", kind=str(job.kind), target=job.target, attempts=job.attempts)
        finally:
            structlog.contextvars.unbind_contextvars("message_id", "job")

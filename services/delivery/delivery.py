"""Delivery: leases due jobs and performs each by the part that handles its kind."""

import time
from collections.abc import Callable, Mapping

import structlog

from services.config.metrics import DELIVERY_SECONDS, JOBS
from services.core.errors import DeliveryError, Kind, StorageUnwell
from services.delivery.leasing import Leasing
from services.delivery.outcome import Outcomes
from services.delivery.push_delivery import PushDelivery
from services.store.jobs import Job, JobKind

log = structlog.get_logger()


class Delivery:
    """Performs jobs; what follows a failure is decided by ``Outcomes``."""

    def __init__(
        self,
        leasing: Leasing,
        pushes: PushDelivery,
        others: Mapping[JobKind, Callable[[Job], None]],
        outcomes: Outcomes,
    ) -> None:
        """``others`` performs the jobs of each kind that is not a push."""
        self._leasing = leasing
        self._pushes = pushes
        self._perform = {JobKind.PUSH: pushes.push, **others}
        self._outcomes = outcomes

    def deliver(
        self, owner: str, free_slots: Callable[[str], int], start: Callable[[Job], object]
    ) -> float:
        """Lease due jobs and hand each to ``start``, see ``Leasing.take``.

        Returns the seconds until the next job is due.
        """
        begun, wait = self._leasing.take(owner, free_slots)
        self._pushes.begin(begun)
        for job in begun:
            start(job)
        return wait

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

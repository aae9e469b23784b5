"""Reconciliation: asking a carrier for the status of a message whose outcome is not known."""

import time
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from services.core.messages import Status
from services.delivery.job_message import message_of
from services.delivery.outcome import FINAL, INQUIRIES, Outcomes
from services.delivery.send import provider_of
from services.providers.base import Provider
from services.store import jobs, messages, statuses
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job


class Reconciler:
    """Performs the jobs that ask a carrier for a message's status."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], outcomes: Outcomes) -> None:
        self._store = store
        self._providers = providers
        self._outcomes = outcomes

    def reconcile(self, job: Job) -> None:
        """Ask the carrier, again and again until its look-up window closes.

        A message without a trace at the carrier stays unknown: it is never sent again by itself.
        Raises ``DeliveryError`` and ``StorageUnwell``.
        """
        message = message_of(self._store, job)
        provider = provider_of(self._providers, message)
        found = None if message.status in FINAL else provider.find_sent(message)

        def finish(tx: Connection) -> None:
            known = found is not None and statuses.is_known(
                tx, message.provider, found.provider_id or "", message.id
            )
            if found is not None and not known:
                status = replace(found, message_id=message.id)
                if statuses.record_status(tx, message.provider, status) is not None:
                    self._outcomes.report_status(tx, message.id)
                self._outcomes.note_opt_out(tx, message.id, status.peer, status.code)
            now = messages.by_id(tx, message.id)
            settled = now is None or now.status in FINAL
            if settled or time.time() > message.created_at + provider.lookup_seconds:
                self._outcomes.finish(tx, job)
            elif provider.receipts and now is not None and now.status is not Status.UNKNOWN:
                self._outcomes.finish(tx, job)  # it was sent; receipts come by webhook
            else:
                wait = INQUIRIES[min(job.attempts, len(INQUIRIES)) - 1]
                jobs.retry(tx, job, clock.now(tx) + wait, "The carrier does not know yet.")

        self._outcomes.record(finish)

"""Delivery of inbound messages to the e-mail addresses of their number."""

import time

from services.core.errors import AccessLost
from services.delivery.completion_journal import CompletionJournal
from services.delivery.job_message import message_of
from services.delivery.outcome import Outcomes
from services.mail.mailer import Mailer
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.store import jobs
from services.store.database.store import Store
from services.store.jobs import Job

FILES_CHECK_SECONDS = 10.0  # until the next look whether the files of a message have arrived


class EmailDelivery:
    """Performs the jobs that mail a message."""

    def __init__(
        self,
        store: Store,
        access: ConversationAccess,
        mailer: Mailer,
        media: MediaStore,
        outcomes: Outcomes,
        journal: CompletionJournal,
    ) -> None:
        self._store = store
        self._access = access
        self._mailer = mailer
        self._media = media
        self._outcomes = outcomes
        self._journal = journal

    def send(self, job: Job) -> None:
        """Mail a message to one address. Raises ``DeliveryError`` and ``StorageUnwell``."""
        if self._store.read(lambda tx: jobs.waits_for_files(tx, job)):
            later = time.time() + FILES_CHECK_SECONDS
            self._outcomes.record(
                lambda tx: jobs.retry(tx, job, later, "Waits for files.", counts=False)
            )
            return
        message = message_of(self._store, job)
        reason = self._access.lost_by_address(job.target, message.number)
        if reason:
            raise AccessLost(reason)
        self._mailer.send(self._media.with_paths(message), job.target)
        self._journal.note(job)
        self._outcomes.record(lambda tx: self._outcomes.finish(tx, job))

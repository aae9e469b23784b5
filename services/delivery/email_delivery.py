"""Delivery of inbound messages to the e-mail addresses of their number."""

from dataclasses import dataclass

from services.core.errors import AccessLost
from services.delivery.completion_journal import CompletionJournal
from services.delivery.job_message import message_of
from services.delivery.outcome import Outcomes
from services.mail.mailer import Mailer
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.store import jobs
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job

FILES_CHECK_SECONDS = 10.0  # until the next look whether the files of a message have arrived


@dataclass(eq=False)
class EmailDelivery:
    """Performs the jobs that mail a message."""

    store: Store
    access: ConversationAccess
    mailer: Mailer
    media: MediaStore
    outcomes: Outcomes
    journal: CompletionJournal

    def send(self, job: Job) -> None:
        """Mail a message to one address. Raises ``DeliveryError`` and ``StorageUnwell``."""
        if self.store.read(lambda tx: jobs.waits_for_files(tx, job)):
            self.outcomes.record(
                lambda tx: jobs.retry(
                    tx,
                    job,
                    clock.now(tx) + FILES_CHECK_SECONDS,
                    jobs.WAITS_FOR_FILES,
                    counts=False,
                )
            )
            return
        message = message_of(self.store, job)
        reason = self.access.lost_by_address(job.target, message.number)
        if reason:
            raise AccessLost(reason)
        self.mailer.send(self.media.with_paths(message), job.target)
        self.journal.note(job)
        self.outcomes.record(lambda tx: self.outcomes.finish(tx, job))

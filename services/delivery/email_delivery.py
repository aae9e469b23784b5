"""Delivery of inbound messages to the e-mail addresses of their number."""

import time
from dataclasses import dataclass

from services.delivery.completion_journal import CompletionJournal
from services.delivery.job_message import message_of
from services.delivery.outcome import Outcomes
from services.mail.mailer import Mailer
from services.media.media_store import MediaStore
from services.store import jobs
from services.store.database.store import Store
from services.store.jobs import Job

FILES_CHECK_SECONDS = 10.0  # until the next look whether the files of a message have arrived


@dataclass(eq=False)
class EmailDelivery:
    """Performs the jobs that mail a message."""

    store: Store
    mailer: Mailer
    media: MediaStore
    outcomes: Outcomes
    journal: CompletionJournal

    def send(self, job: Job) -> None:
        """Mail a message to one address. Raises ``DeliveryError`` and ``StorageUnwell``."""
        if self.store.read(lambda tx: jobs.waits_for_files(tx, job)):
            later = time.time() + FILES_CHECK_SECONDS
            self.outcomes.record(
                lambda tx: jobs.retry(tx, job, later, "Waits for files.", counts=False)
            )
            return
        self.mailer.send(self.media.with_paths(message_of(self.store, job)), job.target)
        self.journal.note(job)
        self.outcomes.record(lambda tx: self.outcomes.finish(tx, job))

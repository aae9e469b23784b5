"""Delivery of inbound messages to the e-mail addresses of their number."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from services.core.app_links import conversation_link
from services.core.error_words import cause_of
from services.core.errors import AccessLost
from services.core.messages import Message, Status
from services.core.phone_numbers import without_channel
from services.delivery.completion_journal import CompletionJournal
from services.delivery.job_message import message_of
from services.delivery.outcome import Outcomes
from services.mail.details import MailDetails
from services.mail.mailer import Mailer
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.route import NOT_SENT
from services.providers.base import Provider
from services.providers.error_table import Cause
from services.store import contacts, jobs
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job

FILES_CHECK_SECONDS = 10.0  # until the next look whether the files of a message have arrived


@dataclass(eq=False)
class EmailDelivery:
    """Performs the jobs that mail a message; ``app_url`` is the address of the phone app."""

    store: Store
    providers: Mapping[str, Provider]
    access: ConversationAccess
    mailer: Mailer
    media: MediaStore
    outcomes: Outcomes
    journal: CompletionJournal
    app_url: str

    def send(self, job: Job) -> None:
        """Mail a message to one address, or that its own text was not sent.

        Raises ``DeliveryError`` and ``StorageUnwell``.
        """
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
        details = self.store.read(lambda tx: self._details(tx, message))
        if message.direction == "in":
            self.mailer.send(self.media.with_paths(message), job.target, details)
        elif message.status in NOT_SENT and message.replaced_by is None:
            self.mailer.send_failure(message, job.target, details, self._cause(message))
        else:  # it was sent after all
            self.outcomes.record(lambda tx: jobs.done(tx, job))
            return
        self.journal.note(job)
        self.outcomes.record(lambda tx: self.outcomes.finish(tx, job))

    def _cause(self, message: Message) -> str | None:
        """What kind of trouble the carrier's error of a message is."""
        if message.error_code is None:
            return Cause.UNCONFIRMED if message.status is Status.UNKNOWN else None
        carrier = self.providers.get(message.provider)
        return cause_of(carrier.causes if carrier is not None else {}, message.error_code)

    def _details(self, tx: Connection, message: Message) -> MailDetails:
        setting = self.access.setting(message.number)
        people = {message.peer, *message.participants}
        known = contacts.names(tx, people | {without_channel(person) for person in people})
        return MailDetails(
            names={
                person: known.get(person) or known.get(without_channel(person), "")
                for person in people
            },
            description=setting.description if setting is not None else "",
            link=conversation_link(self.app_url, message.conversation_id),
        )

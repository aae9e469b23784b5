"""Actions of the operator: retry failed jobs, settle unknown sends, deliver unrouted messages."""

import time
from collections.abc import Sequence
from functools import partial

import structlog
from sqlalchemy import Connection

from services.core.commands import flask_command
from services.core.errors import RequestRefused
from services.core.messages import DeliveryStatus, Message, Status
from services.message_settings import NumberSetting
from services.messaging.assignments import Assignments
from services.messaging.route import Router
from services.store import (
    attempts,
    conversations,
    dead_letters,
    jobs,
    messages,
    quarantine,
    statuses,
)
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

log = structlog.get_logger()
BATCH = 100  # jobs in one transaction
OPERATOR = "operator"  # the event of a receipt that no carrier has sent
AGAIN = "The administrator asked for another attempt."
AGAIN_UNKNOWN = "The administrator had it sent again, though it may have been sent."


class OperatorActions:
    """Changes jobs, statuses and quarantined calls as the operator asks."""

    def __init__(self, store: Store, router: Router, assignments: Assignments) -> None:
        self._store = store
        self._router = router
        self._assignments = assignments

    def retry(
        self,
        message_id: str,
        *,
        job_id: int | None = None,
        resend_unknown: bool = False,
    ) -> list[Job]:
        """Retry the failed jobs of a message, or one of them; returns those that are due again.

        A message whose status is unknown is sent again only with ``resend_unknown``. Raises
        ``RequestRefused``.
        """

        def work(tx: Connection) -> list[Job]:
            message = message_of(tx, message_id)
            given_up = [
                job
                for job in jobs.of(tx, message_id)
                if job.state == "dead" and job_id in (None, job.id)
            ]
            if not resend_unknown and _may_have_been_sent(message, given_up):
                raise RequestRefused(
                    "may_have_been_sent",
                    "This message may have been sent. Ask the carrier; only then send it again.",
                    status=409,
                )
            return _revive(tx, message, given_up)

        return self._store.write(work)

    def retry_all(self, kind: JobKind) -> tuple[int, int]:
        """Retry all failed jobs of a kind; returns how many are due again and how many were left.

        Sends of messages whose status is unknown are left, and jobs that fail meanwhile.
        """
        done = left = 0
        before: int | None = None
        while True:
            found = self._store.read(
                partial(dead_letters.newest, limit=BATCH, kind=kind, before=before)
            )
            if not found:
                log.info("tried again", kind=str(kind), count=done, left=left)
                return done, left
            revived = self._store.write(partial(_revive_all, given_up=found))
            done, left = done + revived, left + len(found) - revived
            before = found[-1].id

    def settle_as_sent(self, message_id: str) -> Message:
        """Set the status of a message from unknown to sent.

        Returns it as it is now. Raises ``RequestRefused`` if it was not unknown.
        """

        def work(tx: Connection) -> Message:
            message = _unknown(tx, message_id)
            receipt = DeliveryStatus(
                Status.SENT, f"{OPERATOR}:{time.time_ns()}", message.provider_id, message.id
            )
            statuses.record_status(tx, message.provider, receipt)
            dead_letters.mark_done(tx, message.id, JobKind.SEND)
            settled = message_of(tx, message.id)
            jobs.add(tx, self._router.update_jobs(settled, str(settled.status)))
            return settled

        settled = self._store.write(work)
        log.info("settled as sent by the operator", message_id=message_id)
        return settled

    def send_again(self, message_id: str) -> None:
        """Send a message whose status is unknown again: it may arrive twice.

        Raises ``RequestRefused`` if it was not unknown.
        """

        def work(tx: Connection) -> None:
            message = _unknown(tx, message_id)
            given_up = [job for job in jobs.of(tx, message_id) if job.state == "dead"]
            _revive(tx, message, [job for job in given_up if job.kind is JobKind.SEND])

        self._store.write(work)
        log.warning("sent again by the operator, may have been sent", message_id=message_id)

    def assign(self, message_id: str, owner: str | None, *, done: bool) -> None:
        """Give the conversation of a message to an extension or to nobody, and set it to done.

        Raises ``RequestRefused``.
        """

        def work(tx: Connection) -> None:
            message = message_of(tx, message_id)
            conversation = conversations.by_id(tx, message.conversation_id, [message.number])
            if conversation is not None:
                self._assignments.hand_over(tx, conversation, owner)
                self._assignments.set_done(tx, conversation, done)

        self._store.write(work)

    def deliver_waiting(self) -> int:
        """Deliver unrouted messages whose number is in Message Settings now; returns how many."""
        total = 0
        while routed := self._router.route_waiting():
            total += routed
        return total

    def drop(self, call_id: int) -> None:
        """Delete a call from quarantine. Raises ``RequestRefused`` where it is not there."""
        if not self._store.write(lambda tx: quarantine.drop(tx, call_id)):
            raise RequestRefused(
                "not_found", "There is no such unreadable carrier message.", status=404
            )
        log.warning("dropped from quarantine by the operator", call=call_id)


def why_unrouted(setting: NumberSetting | None) -> str:
    """The reason why messages to a number with this entry are unrouted, with the remedy.

    Empty if they are not.
    """
    if setting is None:
        return "The number is not in Message Settings. Add it with the extensions that get it."
    if not setting.enabled:
        return "The number is switched off in Message Settings. Switch it on."
    if not setting.reaches_somebody:
        return (
            "The number has neither an extension nor an e-mail address in Message Settings. "
            "Add one."
        )
    return ""


def message_of(tx: Connection, message_id: str) -> Message:
    """A message by its id. Raises ``RequestRefused`` where there is none."""
    message = messages.by_id(tx, message_id)
    if message is None:
        raise RequestRefused(
            "not_found",
            f"There is no message {message_id}. See: {flask_command('messages list')}",
            status=404,
        )
    return message


def _unknown(tx: Connection, message_id: str) -> Message:
    message = message_of(tx, message_id)
    if message.status is not Status.UNKNOWN:
        raise RequestRefused(
            "not_unknown",
            f"It is known what became of this message: it is {message.status}.",
            status=409,
        )
    return message


def _may_have_been_sent(message: Message, given_up: Sequence[Job]) -> bool:
    sends = any(job.kind is JobKind.SEND for job in given_up)
    return sends and message.status is Status.UNKNOWN


def _revive(tx: Connection, message: Message, given_up: Sequence[Job]) -> list[Job]:
    revived = dead_letters.revive(tx, [job.id for job in given_up])
    doubtful = message.status is Status.UNKNOWN
    for job in revived:
        again = AGAIN_UNKNOWN if doubtful and job.kind is JobKind.SEND else AGAIN
        attempts.add(tx, job, attempts.AGAIN, again)
    if any(job.kind is JobKind.SEND for job in revived):
        statuses.requeue(tx, message.id)
    return revived


def _revive_all(tx: Connection, given_up: Sequence[Job]) -> int:
    count = 0
    for job in given_up:
        message = message_of(tx, job.message_id)
        if not _may_have_been_sent(message, [job]):
            count += len(_revive(tx, message, [job]))
    return count

"""Outcomes of delivery jobs: done, retried, given up, abandoned by a dead worker.

Decides what follows a failed attempt at a job: retry, pause, give up. Every failure raises a
``DeliveryError`` that carries the decision as its ``kind``. Connections that receive texts
(``inbound_channels``) are no jobs and pause their own channel.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from services.config.metrics import JOBS
from services.core.errors import AccessLost, DeliveryError, Kind, SendError, StorageUnwell
from services.core.messages import Message, Status
from services.delivery.completion_journal import CompletionJournal
from services.delivery.push_devices import record_failure
from services.messaging.cancelling import cancel_scheduled
from services.messaging.carrier_event_log import CarrierEventLog
from services.messaging.opt_out import OptedOut, OptOuts, is_blocked, send_job
from services.messaging.route import Router
from services.messaging.second_number import SecondNumber
from services.providers.base import Provider
from services.store import (
    attachments,
    attempts,
    circuit_breakers,
    counters,
    dead_letters,
    jobs,
    messages,
    scheduled,
    statuses,
    workers,
)
from services.store.carrier_events import CarrierEventKind
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

log = structlog.get_logger()

BACKOFF = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0)  # seconds after each failed attempt
# Seconds between attempts while a receiver is offline: as long as the job has waited, within these.
OFFLINE = (120.0, 600.0)
GIVE_UP_SECONDS = 86_400.0
INQUIRIES = (10.0, 60.0, 300.0, 1800.0, 7200.0)  # seconds between questions about a message
FINAL = {Status.DELIVERED, Status.FAILED}
RESTORED = "restored"
WAITED_IN_BACKUP = (
    "It waited in the restored backup; it may have been sent or cancelled since. Schedule it again."
)
REPORTED = {Status.SENT, Status.DELIVERED, Status.FAILED, Status.UNKNOWN}


@dataclass(eq=False)
class Outcomes:
    """Records the outcome of each job and decides what follows."""

    store: Store
    router: Router
    providers: Mapping[str, Provider]
    carrier_events: CarrierEventLog
    journal: CompletionJournal
    opt_outs: OptOuts
    second_number: SecondNumber

    def record(self, work: Callable[[Connection], object], *, durable: bool = True) -> None:
        """Write an outcome to the database; repeats until the database takes it."""
        while True:
            try:
                self.store.write(work, durable=durable)
                break
            except StorageUnwell as error:
                log.error("cannot record an outcome yet", reason=str(error))
                time.sleep(1.0)

    def finish(self, tx: Connection, job: Job) -> None:
        """A job is done, and its destination works."""
        jobs.done(tx, job)
        circuit_breakers.resume(tx, job.destination)

    def report_status(self, tx: Connection, message_id: str) -> None:
        """Queue the jobs that report a message's new status to channels which want updates."""
        message = messages.by_id(tx, message_id)
        if message is not None and message.status in REPORTED:
            jobs.add(tx, self.router.update_jobs(message, str(message.status)))

    def files_settled(self, tx: Connection, message_id: str) -> None:
        """After the last file of a message: start the jobs that waited for it, update the apps."""
        messages.touch(tx, message_id)
        if jobs.count_open(tx, message_id, JobKind.FETCH):
            return
        for kind in (JobKind.EMAIL, JobKind.PUSH):
            jobs.make_due(tx, message_id, kind)
        message = messages.by_id(tx, message_id)
        if message is not None and message.routed and not is_blocked(tx, message):
            jobs.add(tx, self.router.update_jobs(message, "media"))

    def settle(self, job: Job, error: DeliveryError) -> None:
        """Act on a failed attempt: try again later, pause the destination, or give up.

        A send whose outcome is unknown is not tried again: the carrier or a person settles it. A
        send that was refused for its number may be replaced by one from another number.
        """
        kind = error.kind
        if kind is Kind.UNKNOWN and job.kind is not JobKind.SEND:
            kind = Kind.RETRY
        JOBS.labels(job.kind, str(kind)).inc()
        if job.kind is JobKind.SEND and not isinstance(error, (OptedOut, AccessLost)):
            carrier = job.destination.partition(":")[2]
            detail = f"{error.code or ''} {error}".strip()
            self.carrier_events.note(carrier, CarrierEventKind.ERROR, detail)
        log.warning(
            "not done",
            kind=str(job.kind),
            target=job.target,
            attempts=job.attempts,
            outcome=str(kind),
            code=error.code,
            reason=error.reason,
        )
        self.record(lambda tx: self._settle(tx, job, error, kind))

    def reclaim(self, dead_workers: Sequence[str], silent_since: float = 0.0) -> int:
        """Take back the jobs of workers that are gone; returns how many there were.

        Workers without a heartbeat since ``silent_since`` (``clock.now``) count as gone, too. A job
        in their completion journal is done. A send that had begun may have reached the carrier: it
        becomes unknown.
        """
        abandoned = self.store.write(lambda tx: self._reclaim(tx, dead_workers, silent_since))
        if abandoned:
            log.warning("jobs of a dead worker taken back", count=abandoned)
        return abandoned

    def give_back(self, worker_id: str, job_ids: Collection[int]) -> None:
        """Take back jobs that are leased to a living worker and that it does not work on."""
        given_back = self.store.write(
            lambda tx: self._take_back(tx, jobs.interrupted(tx, worker_id, job_ids))
        )
        if given_back:
            log.warning("jobs that this worker did not know of taken back", count=given_back)

    def after_restore(self, tx: Connection) -> tuple[int, list[Message]]:
        """Settle what a restored backup had under way, and start its other jobs anew.

        What waited to be sent when the backup was made, or was scheduled for a time that is past
        now, may have been sent since: it becomes unknown. What is scheduled for later may have been
        sent or cancelled since: it is cancelled. Returns how many became unknown, and the cancelled
        messages. No worker may run.
        """
        unknown = self._settle_sends_of_backup(tx)
        counters.hold_sequence(tx)
        later = scheduled.every(tx)
        cancel_scheduled(tx, self.router, later, RESTORED, WAITED_IN_BACKUP)
        return unknown, later

    def _settle_sends_of_backup(self, tx: Connection) -> int:
        for message in scheduled.all_due(tx, clock.now(tx)):
            if (released := scheduled.release(tx, message)) is not None:
                jobs.add(tx, [send_job(released)])
        waiting = jobs.lease_all(tx, JobKind.SEND, "backup")
        for job in waiting:
            reason = "This waited in the restored backup; it may have been sent since."
            self._give_up(tx, job, SendError(reason, Kind.UNKNOWN), Kind.UNKNOWN)
        jobs.reset_all(tx)
        return len(waiting)

    def _settle(self, tx: Connection, job: Job, error: DeliveryError, kind: Kind) -> None:
        if isinstance(error, SendError) and self._replace(tx, job, error):
            return
        if kind in (Kind.RETRY, Kind.CONFIG) and time.time() - job.created_at < GIVE_UP_SECONDS:
            self._retry_later(tx, job, error, kind)
        else:
            self._give_up(tx, job, error, kind)

    def _replace(self, tx: Connection, job: Job, error: SendError) -> bool:
        """Queue a message by another number in place of a refused one; false where none is.

        The refused message fails. Its job is done, so that nobody can try it again. None is queued
        where an earlier attempt may have sent the message.
        """
        if attempts.was_unknown(tx, job):
            return False
        message = messages.by_id(tx, job.message_id)
        parts = self.second_number.replacement(tx, message, error) if message is not None else []
        if not parts:
            return False
        reason = f"{error.reason} It is sent by {parts[0].number} instead."
        self._give_up(tx, job, SendError(reason, error.kind, code=error.code), error.kind, parts)
        return True

    def _retry_later(self, tx: Connection, job: Job, error: DeliveryError, kind: Kind) -> None:
        now = clock.now(tx)
        if kind is Kind.CONFIG or error.retry_after is not None:
            wait = error.retry_after or self._pause_seconds(tx, job.destination)
            held = jobs.retry(tx, job, now + wait, error.reason, counts=False)
            if held:  # not again where this is repeated because the answer to a commit was lost
                circuit_breakers.pause(
                    tx, job.destination, now + wait, error.reason, config=kind is Kind.CONFIG
                )
        elif error.offline:
            wait = min(max(now - job.created_at, OFFLINE[0]), OFFLINE[1]) * _jitter()
            held = jobs.retry(tx, job, now + wait, error.reason, counts=False)
        else:
            wait = BACKOFF[min(job.attempts, len(BACKOFF)) - 1] * _jitter()
            held = jobs.retry(tx, job, now + wait, error.reason)
        if held:
            attempts.add(tx, job, kind, error.reason, error.code)
        if job.kind is JobKind.PUSH:
            record_failure(tx, job.target, error)

    def _pause_seconds(self, tx: Connection, destination: str) -> float:
        failures = circuit_breakers.failures(tx, destination)
        longer = circuit_breakers.SHORTEST_PAUSE * 2**failures
        return float(min(longer, circuit_breakers.LONGEST_PAUSE))

    def _give_up(
        self,
        tx: Connection,
        job: Job,
        error: DeliveryError,
        kind: Kind,
        instead: Sequence[Message] = (),
    ) -> None:
        """Give a job up while it is leased; ``instead`` are the messages that replace its own."""
        if not jobs.give_up(tx, job, error.reason):
            return
        attempts.add(tx, job, kind, error.reason, error.code)
        if job.kind is JobKind.SEND:
            status = Status.UNKNOWN if kind is Kind.UNKNOWN else Status.FAILED
            if statuses.advance(tx, job.message_id, status, code=error.code, reason=error.reason):
                self.report_status(tx, job.message_id)
            self.note_opt_out(tx, job.message_id, "", error.code)
            if instead:
                dead_letters.mark_done(tx, job.message_id, JobKind.SEND)
                self._queue(tx, instead, job.about)
            provider = self.providers.get(job.destination.partition(":")[2])
            if status is Status.UNKNOWN and provider is not None and provider.lookup_seconds:
                jobs.add(tx, [inquiry(job.message_id, provider.name)])
        elif job.kind is JobKind.FETCH:
            attachments.fail(tx, job.target, error.reason)
            self.files_settled(tx, job.message_id)
        elif job.kind is JobKind.PUSH and not isinstance(error, AccessLost):
            record_failure(tx, job.target, error)

    def _queue(self, tx: Connection, instead: Sequence[Message], about: str) -> None:
        """Store and queue messages that replace another one, whose files they get.

        ``about`` is that of the other one's job.
        """
        first = instead[0]
        stored = [messages.add_outbound(tx, replace(part, media=()), "") for part in instead]
        if first.instead_of is not None:
            attachments.move(tx, first.instead_of, first.id)
            messages.note_replacement(tx, first.instead_of, first.id)
        jobs.add(tx, [send_job(message, about) for message in stored])

    def note_opt_out(self, tx: Connection, message_id: str, peer: str, code: str | None) -> None:
        """Record an opt-out that a carrier's code tells of."""
        message = messages.by_id(tx, message_id) if code is not None else None
        if message is not None:
            self.opt_outs.refused(tx, message, peer, code)

    def _reclaim(self, tx: Connection, dead_workers: Sequence[str], silent_since: float) -> int:
        workers.forget_workers(tx, dead_workers, silent_since)
        return self._take_back(tx, jobs.abandoned(tx))

    def _take_back(self, tx: Connection, abandoned: Sequence[Job]) -> int:
        owners = {job.owner for job in abandoned if job.owner is not None}
        completed = self.journal.left_by(owners)
        for job in abandoned:
            if job.id in completed:
                self.finish(tx, job)
            elif job.kind is JobKind.SEND and job.started:
                reason = (
                    "Textbridge was interrupted while this was being sent; "
                    "the carrier may have taken it."
                )
                self._give_up(tx, job, SendError(reason, Kind.UNKNOWN), Kind.UNKNOWN)
            elif job.interruptions >= jobs.MAX_INTERRUPTIONS:
                reason = f"Textbridge was interrupted {job.interruptions} times while doing this."
                self._give_up(tx, job, DeliveryError(reason, Kind.REFUSED), Kind.REFUSED)
            else:
                reason = "Textbridge was interrupted."
                jobs.retry(tx, job, clock.now(tx), reason)
                attempts.add(tx, job, Kind.RETRY, reason)
        return len(abandoned)


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def inquiry(message_id: str, provider: str) -> Job:
    """The job that asks a carrier for the status of a message."""
    due = time.time() + INQUIRIES[0]
    return Job(JobKind.RECONCILE, message_id, f"reconcile:{provider}", due=due)

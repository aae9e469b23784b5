"""Delivery: does each job, and acts on what came of it. The only place that decides."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from services.config.metrics import DELIVERY_SECONDS, JOBS
from services.core.errors import DeliveryError, Kind, MediaError, SendError, StorageUnwell
from services.core.messages import Attachment, Message, Status
from services.delivery.call_batching import BatchedCall
from services.delivery.completion_journal import CompletionJournal
from services.delivery.leasing import Leasing
from services.delivery.push_delivery import PushAccepted, record_accepted, record_failure
from services.media.media_store import StoredFile
from services.messaging.send_limits import count_received, has_sent_too_much
from services.providers.base import Provider
from services.store import (
    attachments,
    attempts,
    circuit_breakers,
    jobs,
    messages,
    rate_limits,
    statuses,
    workers,
)
from services.store.carrier_events import CarrierEventKind
from services.store.jobs import Job, JobKind

if TYPE_CHECKING:
    from services.gateway import Gateway

log = structlog.get_logger()

BACKOFF = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0)  # seconds after each failed attempt
GIVE_UP_SECONDS = 86_400.0
MEDIA_BYTES = 20_000_000
SMIL = "application/smil"
INQUIRIES = (10.0, 60.0, 300.0, 1800.0, 7200.0)  # seconds between questions about a message
ENDED = {Status.DELIVERED, Status.FAILED}
TOLD = {Status.SENT, Status.DELIVERED, Status.FAILED, Status.UNKNOWN}


class Delivery:
    """Does what the jobs ask for."""

    def __init__(self, gateway: "Gateway") -> None:
        self._house = gateway
        self._store = gateway.store
        self._claims = Leasing(gateway)
        self.journal = CompletionJournal(gateway.environment.service.storage_path.resolve() / "run")
        self._note_taken = BatchedCall[PushAccepted](
            lambda gathered: self._record(lambda tx: record_accepted(tx, gathered()), durable=False)
        )
        self._do = {
            JobKind.SEND: self._send,
            JobKind.PUSH: self._push,
            JobKind.EMAIL: self._email,
            JobKind.FETCH: self._fetch,
            JobKind.RECONCILE: self._reconcile,
        }

    def deliver(
        self, owner: str, room: Callable[[str], int], start: Callable[[Job], object]
    ) -> float:
        """Claim due jobs and hand each to ``start``, see ``Claims.take``.

        Returns the seconds until the next job is due.
        """
        begun, wait = self._claims.take(owner, room)
        self._house.pushes.begin(begun)
        for job in begun:
            start(job)
        return wait

    def perform(self, job: Job) -> None:
        """Do one claimed job and record what came of it, whatever that is."""
        structlog.contextvars.bind_contextvars(message_id=job.message_id, job=job.id)
        try:
            self._do[job.kind](job)
        except DeliveryError as error:
            self.settle(job, error)
        except StorageUnwell as error:  # nothing has left the house then, see ``_record``
            self.settle(job, DeliveryError(str(error), Kind.RETRY))
        else:
            JOBS.labels(job.kind, "done").inc()
            DELIVERY_SECONDS.labels(job.kind).observe(max(0.0, time.time() - job.created_at))
            log.info("done", kind=str(job.kind), target=job.target, attempts=job.attempts)
        finally:
            structlog.contextvars.unbind_contextvars("message_id", "job")

    # What the jobs ask for

    def _send(self, job: Job) -> None:
        message = self._message(job)
        provider = self._house.providers.get(message.provider)
        if provider is None:
            raise SendError(f"The carrier {message.provider} is not configured.", Kind.CONFIG)
        setting = self._house.settings.for_number(message.number)
        sender_id = setting.sender_id if setting is not None else None
        message = replace(self._with_paths(message), sender_id=sender_id)

        limits = _paces(provider, message.number)

        def begin(tx: Connection) -> bool:
            now = time.time()
            wait = max([rate_limits.wait(tx, name, now) for name in limits], default=0.0)
            if wait:
                jobs.retry(tx, job, now + wait, "Waits for its turn.", counts=False)
                return False
            for name, rate in limits.items():
                rate_limits.count(tx, name, rate, now)
            statuses.advance(tx, message.id, Status.SENDING)
            return jobs.start(tx, job)

        if not self._store.write(begin):
            return
        provider_id = provider.send(message)
        self._record(lambda tx: self._sent(tx, job, message, provider_id))
        self._house.noticing.note(provider.name, CarrierEventKind.SENT)

    def _sent(self, tx: Connection, job: Job, message: Message, provider_id: str) -> None:
        jobs.done(tx, job)
        circuit_breakers.resume(tx, job.destination)
        moved = statuses.advance(tx, message.id, Status.SENT, provider_id=provider_id)
        moved = statuses.join_receipts(tx, message, provider_id) or moved
        if moved:
            self._tell(tx, message.id)
        if not self._house.providers[message.provider].receipts:
            jobs.add(tx, [_inquiry(message.id, message.provider)])

    def _push(self, job: Job) -> None:
        came = self._house.pushes.push(job)
        if not isinstance(came, PushAccepted):
            self._record(came)
        elif came.thread is None:
            self.journal.note(job)
            self._note_taken(came)
        else:  # its conversation may be removed meanwhile: then this job alone has failed
            self._record(lambda tx: record_accepted(tx, [came]), durable=False)

    def _email(self, job: Job) -> None:
        if self._store.read(lambda tx: jobs.waits_for_files(tx, job)):
            later = time.time() + 10.0
            self._record(lambda tx: jobs.retry(tx, job, later, "Waits for files.", counts=False))
            return
        self._house.mailer.send(self._with_paths(self._message(job)), job.target)
        self.journal.note(job)
        self._record(lambda tx: self._finish(tx, job))

    def _fetch(self, job: Job) -> None:
        file = self._store.read(lambda tx: attachments.by_id(tx, job.target))
        message = self._message(job)
        provider = self._house.providers.get(message.provider)
        if provider is None:
            raise MediaError(f"The carrier {message.provider} is not configured.", Kind.CONFIG)
        if file is None or file.source_url is None:
            raise MediaError("The file is not known any more.", Kind.REFUSED)
        too_much = self._store.read(lambda tx: has_sent_too_much(tx, self._house, message.peer))
        if too_much:
            raise MediaError(too_much, Kind.REFUSED)
        try:
            kept = self._download(provider, file, file.source_url)
        except MediaError as error:
            if error.code not in ("401", "403"):
                raise
            kept = self._download(provider, file, file.source_url, renew=True)

        def finish(tx: Connection) -> None:
            count_received(tx, self._house, message.peer, kept.size)
            if kept.content_type == SMIL:
                attachments.remove(tx, file.id)
            else:
                attachments.keep(tx, file.id, kept.content_type, kept.name, kept.size)
            self._finish(tx, job)
            self._files_settled(tx, message.id)

        self._record(finish)

    def _reconcile(self, job: Job) -> None:
        """Ask the carrier what became of a message, again and again until its window closes.

        What the carrier has no trace of stays unknown: it is never sent again by itself.
        """
        message = self._message(job)
        provider = self._house.providers.get(message.provider)
        if provider is None:
            raise SendError(f"The carrier {message.provider} is not configured.", Kind.CONFIG)
        found = None if message.status in ENDED else provider.find_sent(message)

        def finish(tx: Connection) -> None:
            known = found is not None and statuses.is_known(
                tx, message.provider, found.provider_id or "", message.id
            )
            if found is not None and not known:
                told = replace(found, message_id=message.id)
                if statuses.record_status(tx, message.provider, told) is not None:
                    self._tell(tx, message.id)
            now = messages.by_id(tx, message.id)
            settled = now is None or now.status in ENDED
            if settled or time.time() > message.created_at + provider.lookup_seconds:
                self._finish(tx, job)
            elif provider.receipts and now is not None and now.status is not Status.UNKNOWN:
                self._finish(tx, job)  # it was sent; the rest comes by webhook
            else:
                wait = INQUIRIES[min(job.attempts, len(INQUIRIES)) - 1]
                jobs.retry(tx, job, time.time() + wait, "The carrier does not know yet.")

        self._record(finish)

    def _download(
        self, provider: Provider, file: Attachment, url: str, *, renew: bool = False
    ) -> StoredFile:
        headers = provider.media_headers(url, renew=renew)
        return self._house.media.fetch(
            self._house.http,
            url,
            headers,
            redirects=provider.media_redirects,
            file_id=file.id,
            name=file.name,
            max_bytes=MEDIA_BYTES,
        )

    def _finish(self, tx: Connection, job: Job) -> None:
        jobs.done(tx, job)
        circuit_breakers.resume(tx, job.destination)

    def _files_settled(self, tx: Connection, message_id: str) -> None:
        """When no file is awaited any more, what waited for them leaves and the apps hear."""
        messages.touch(tx, message_id)
        if jobs.open_of(tx, message_id, JobKind.FETCH):
            return
        for kind in (JobKind.EMAIL, JobKind.PUSH):
            jobs.make_due(tx, message_id, kind)
        message = messages.by_id(tx, message_id)
        if message is not None and message.routed:
            jobs.add(tx, self._house.routing.updates(message, "media"))

    # What follows from a failure

    def settle(self, job: Job, error: DeliveryError) -> None:
        """Act on a failed attempt: try again later, give up, pause the destination, or leave it
        to a person."""
        kind = error.kind
        if kind is Kind.UNKNOWN and job.kind is not JobKind.SEND:
            kind = Kind.RETRY
        JOBS.labels(job.kind, str(kind)).inc()
        if job.kind is JobKind.SEND:
            carrier = job.destination.partition(":")[2]
            self._house.noticing.note(
                carrier, CarrierEventKind.ERROR, f"{error.code or ''} {error}".strip()
            )
        log.warning(
            "not done",
            kind=str(job.kind),
            target=job.target,
            attempts=job.attempts,
            outcome=str(kind),
            code=error.code,
            reason=error.reason,
        )
        if kind in (Kind.RETRY, Kind.CONFIG) and time.time() - job.created_at < GIVE_UP_SECONDS:
            self._record(lambda tx: self._later(tx, job, error, kind))
        else:
            self._record(lambda tx: self._give_up(tx, job, error, kind))

    def _later(self, tx: Connection, job: Job, error: DeliveryError, kind: Kind) -> None:
        now = time.time()
        if kind is Kind.CONFIG or error.retry_after is not None:
            wait = error.retry_after or self._pause(tx, job.destination)
            circuit_breakers.pause(
                tx, job.destination, now + wait, error.reason, config=kind is Kind.CONFIG
            )
            held = jobs.retry(tx, job, now + wait, error.reason, counts=False)
        else:
            wait = BACKOFF[min(job.attempts, len(BACKOFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
            held = jobs.retry(tx, job, now + wait, error.reason)
        if held:
            attempts.add(tx, job, kind, error.reason, error.code)
        if job.kind is JobKind.PUSH:
            record_failure(tx, job.target, error)

    def _pause(self, tx: Connection, destination: str) -> float:
        longer = circuit_breakers.SHORTEST_PAUSE * 2 ** circuit_breakers.failures(tx, destination)
        return float(min(longer, circuit_breakers.LONGEST_PAUSE))

    def _give_up(self, tx: Connection, job: Job, error: DeliveryError, kind: Kind) -> None:
        if not jobs.give_up(tx, job, error.reason):
            return
        attempts.add(tx, job, kind, error.reason, error.code)
        if job.kind is JobKind.SEND:
            status = Status.UNKNOWN if kind is Kind.UNKNOWN else Status.FAILED
            if statuses.advance(tx, job.message_id, status, code=error.code, reason=error.reason):
                self._tell(tx, job.message_id)
            provider = self._house.providers.get(job.destination.partition(":")[2])
            if status is Status.UNKNOWN and provider is not None and provider.lookup_seconds:
                jobs.add(tx, [_inquiry(job.message_id, provider.name)])
        elif job.kind is JobKind.FETCH:
            attachments.fail(tx, job.target, error.reason)
            self._files_settled(tx, job.message_id)
        elif job.kind is JobKind.PUSH:
            record_failure(tx, job.target, error)

    def reclaim(self, dead_workers: Sequence[str], silent_since: float = 0.0) -> int:
        """Take back the jobs of workers that are gone; returns how many there were.

        Those that have not beaten since ``silent_since`` (``clock.now``) count as gone, too. What
        stands in their journal is done. A send that had begun may have reached the carrier: it
        becomes unknown.
        """
        lapsed = self._store.write(lambda tx: self._reclaim(tx, dead_workers, silent_since))
        if lapsed:
            log.warning("jobs of a dead worker taken back", count=lapsed)
        return lapsed

    def _reclaim(self, tx: Connection, dead_workers: Sequence[str], silent_since: float) -> int:
        workers.forget_workers(tx, dead_workers, silent_since)
        lapsed = jobs.abandoned(tx)
        taken = self.journal.left_by({job.owner for job in lapsed if job.owner is not None})
        for job in lapsed:
            if job.id in taken:
                self._finish(tx, job)
            elif job.kind is JobKind.SEND and job.started:
                reason = (
                    "Textbridge was interrupted while this was being sent; "
                    "the carrier may have taken it."
                )
                self._give_up(tx, job, SendError(reason, Kind.UNKNOWN), Kind.UNKNOWN)
            elif job.lapses >= jobs.LAPSES:
                reason = f"Textbridge was interrupted {job.lapses} times while doing this."
                self._give_up(tx, job, DeliveryError(reason, Kind.REFUSED), Kind.REFUSED)
            else:
                reason = "Textbridge was interrupted."
                jobs.retry(tx, job, time.time(), reason)
                attempts.add(tx, job, Kind.RETRY, reason)
        return len(lapsed)

    def put_back(self, tx: Connection) -> int:
        """Let the jobs of a backup begin anew; returns how many replies are unknown now.

        What waited to be sent when the backup was made may have been sent since. No worker may be
        at work.
        """
        waiting = jobs.lease_all(tx, JobKind.SEND, "backup")
        for job in waiting:
            reason = "This waited in the backup that was put back; it may have been sent since."
            self._give_up(tx, job, SendError(reason, Kind.UNKNOWN), Kind.UNKNOWN)
        jobs.begin_anew(tx)
        return len(waiting)

    # Small things

    def _tell(self, tx: Connection, message_id: str) -> None:
        message = messages.by_id(tx, message_id)
        if message is not None and message.status in TOLD:
            jobs.add(tx, self._house.routing.updates(message, str(message.status)))

    def _message(self, job: Job) -> Message:
        message = self._store.read(lambda tx: messages.by_id(tx, job.message_id))
        if message is None:
            raise DeliveryError("The message is not known any more.", Kind.REFUSED)
        return message

    def _with_paths(self, message: Message) -> Message:
        return replace(message, media=tuple(self._with_path(file) for file in message.media))

    def _with_path(self, file: Attachment) -> Attachment:
        if file.state != "kept":
            return file
        media = self._house.media
        return replace(file, path=media.open(file.id), source_url=media.link(file))

    def _record(self, work: Callable[[Connection], object], *, durable: bool = True) -> None:
        """Write down what came of a job, and do not go on before that is done."""
        while True:
            try:
                self._store.write(work, durable=durable)
                break
            except StorageUnwell as error:
                log.error("cannot record an outcome yet", reason=str(error))
                time.sleep(1.0)


def _paces(provider: Provider, number: str) -> dict[str, float]:
    """The paces that a message from a number keeps: their names and rates."""
    known = {provider.name: provider.rate, f"{provider.name}:{number}": provider.number_rate}
    return {name: rate for name, rate in known.items() if rate is not None}


def _inquiry(message_id: str, provider: str) -> Job:
    """The job that asks a carrier what became of a message."""
    due = time.time() + INQUIRIES[0]
    return Job(JobKind.RECONCILE, message_id, f"reconcile:{provider}", due=due)

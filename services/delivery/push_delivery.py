"""Push notifications: notifying a device of a message through its channel.

A push waits in quiet hours and for files, is left out where the message was read meanwhile, and is
given up where the extension has lost the number.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from services.core.errors import AccessLost, DeliveryError, Kind, PushError, RequestRefused
from services.core.messages import Device, Message, Notice, message_object
from services.delivery.completion_journal import CompletionJournal
from services.delivery.notification_text import NotificationText
from services.delivery.outcome import Outcomes
from services.delivery.push_devices import device_of, record_failure
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.push.base import Channel, PassedOn
from services.store import (
    attempts,
    circuit_breakers,
    conversations,
    devices,
    external_threads,
    jobs,
    messages,
)
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

FILES_CHECK_SECONDS = 10.0  # until the next look whether the files of a message have arrived


@dataclass(frozen=True, slots=True)
class _PushData:
    """The data of a push, read from the database at one moment.

    ``put_off`` is until when (seconds since 1970) and why the push has to wait; a ``needless`` one
    would show nothing new.
    """

    message: Message
    device: Device
    channel: Channel
    numbers: tuple[str, ...] = ()
    unread: int = 0
    unread_total: int = 0
    put_off: tuple[float, str] | None = None
    needless: bool = False


@dataclass(frozen=True, slots=True)
class PushAccepted:
    """A push that its channel accepted, with the app's own id for the conversation, if any.

    ``passed_on`` is set where the channel does not know whether the device gets it.
    """

    job: Job
    data: _PushData
    thread: str | None
    passed_on: PassedOn | None = None


class PushDelivery:
    """Performs push jobs through the devices' channels."""

    def __init__(
        self,
        store: Store,
        access: ConversationAccess,
        channels: Mapping[str, Channel],
        media: MediaStore,
        outcomes: Outcomes,
        journal: CompletionJournal,
        text: NotificationText,
    ) -> None:
        self._store = store
        self._access = access
        self._channels = channels
        self._media = media
        self._outcomes = outcomes
        self._journal = journal
        self._text = text
        self._begun: dict[int, Job] = {}  # by their ids
        self._looked_up: dict[int, _PushData] = {}  # by the id of the job
        self._accepted: list[PushAccepted] = []

    def begin(self, leased: Iterable[Job]) -> None:
        """Take note of newly leased jobs: the first push looks up the data of all of them.

        A job that failed before is looked up alone, so that its fault does not affect others.
        """
        self._begun |= {
            job.id: job for job in leased if job.kind is JobKind.PUSH and job.attempts == 1
        }

    def push(self, job: Job) -> None:
        """Perform a job and record its outcome, that of an accepted push later.

        Raises ``DeliveryError`` and ``StorageUnwell``. See ``take_accepted``.
        """
        data = self._data_of(job)
        if data.put_off is not None:
            until, reason = data.put_off
            self._outcomes.record(lambda tx: jobs.retry(tx, job, until, reason, counts=False))
            return
        if data.needless:
            self._outcomes.record(lambda tx: jobs.done(tx, job))
            return
        self._require_access(data)
        answer = self._notify(data, job)
        if isinstance(answer, PassedOn):
            accepted = PushAccepted(job, data, None, passed_on=answer)
        else:
            accepted = PushAccepted(job, data, answer)
        if accepted.thread is None:
            self._journal.note(job)
            self._accepted.append(accepted)
        else:  # its conversation may be removed meanwhile: then this job alone has failed
            self._outcomes.record(lambda tx: record_accepted(tx, [accepted]), durable=False)

    def take_accepted(self) -> list[PushAccepted]:
        """The accepted pushes that are not recorded yet; the caller records them."""
        accepted, self._accepted = self._accepted, []
        return accepted

    def put_back(self, accepted: Iterable[PushAccepted]) -> None:
        """Keep accepted pushes that could not be recorded."""
        self._accepted[:0] = accepted

    def _data_of(self, job: Job) -> _PushData:
        if job.id in self._begun:
            begun, self._begun = list(self._begun.values()), {}
            self._looked_up |= self._store.read(partial(self._look_up_all, begun=begun))
        data = self._looked_up.pop(job.id, None)
        return data or self._store.read(partial(self._look_up_alone, job=job))

    def _require_access(self, data: _PushData) -> None:
        """Raise ``AccessLost`` for an extension that has lost the number since it was queued."""
        reason = self._access.lost_by_extension(data.device.extension, data.message.number)
        if reason:
            raise AccessLost(reason)

    def _notify(self, data: _PushData, job: Job) -> str | PassedOn | None:
        try:
            return data.channel.notify(data.device, self._notice(data, job.about))
        except PushError as error:
            if error.kind is Kind.GONE and self._has_moved(data.device):
                reason = "The device registered anew while it was pushed to."
                raise PushError(reason, Kind.RETRY) from None
            raise

    def test(self, device: Device) -> tuple[str, str]:
        """Send a test notification to a device now; returns a result word and a sentence.

        The word is ``taken`` or the ``Kind`` of the failure. Raises ``RequestRefused`` for a device
        without a push address, and ``StorageUnwell``.
        """
        channel = self._channels.get(device.channel)
        if channel is None:
            raise RequestRefused(
                "no_push",
                "Notifications are off on this device. Register its push address first: "
                "PUT /devices/{id} with “push”.",
                status=409,
            )
        try:
            channel.notify(device, self._text.test(device))
        except PushError as error:
            self._store.write(partial(record_failure, device_id=device.id, error=error))
            return str(error.kind), error.reason
        self._store.write(partial(devices.record_push, device_id=device.id, error=None))
        return "taken", f"{channel.title}: the notification was taken and is on its way."

    def _look_up_all(self, tx: Connection, begun: Sequence[Job]) -> dict[int, _PushData]:
        found = messages.by_ids(tx, [job.message_id for job in begun])
        data = {}
        for job in begun:
            with suppress(DeliveryError):  # raised again when that job is performed
                data[job.id] = self._look_up(tx, job, found.get(job.message_id))
        return data

    def _look_up_alone(self, tx: Connection, job: Job) -> _PushData:
        return self._look_up(tx, job, messages.by_id(tx, job.message_id))

    def _look_up(self, tx: Connection, job: Job, message: Message | None) -> _PushData:
        if message is None:
            raise DeliveryError("The message is not known any more.", Kind.REFUSED)
        device = device_of(tx, job)
        channel = self._channels.get(device.channel)
        if channel is None:
            raise PushError("The device has no push address any more.", Kind.REFUSED)
        data = _PushData(message, device, channel)
        received = job.about == "received"
        if received and channel.waits_for_media and jobs.waits_for_files(tx, job):
            later = clock.now(tx) + FILES_CHECK_SECONDS
            return replace(data, put_off=(later, jobs.WAITS_FOR_FILES))
        if received and channel.per_device:
            quiet = device.quiet_hours
            awake_at = quiet.ends(clock.now(tx)) if quiet is not None else None
            if awake_at is not None:
                return replace(data, put_off=(awake_at, jobs.IN_QUIET_HOURS))
            if _is_needless(tx, job, data):
                return replace(data, needless=True)
        extension = device.extension
        numbers = tuple(own.number for own in self._access.numbers(extension))
        return replace(
            data,
            numbers=numbers,
            unread=messages.unread(tx, extension, [message.conversation_id])[
                message.conversation_id
            ],
            unread_total=(
                messages.unread_total(tx, extension, numbers) if channel.per_device else 0
            ),
        )

    def _notice(self, data: _PushData, about: str) -> Notice:
        link = self._media.link
        notice = self._text.of_message(
            data.message, data.device, about, lambda message: message_object(message, link)
        )
        return replace(
            notice,
            unread=data.unread,
            unread_total=data.unread_total,
            numbers=data.numbers,
        )

    def _has_moved(self, device: Device) -> bool:
        now = self._store.read(partial(devices.by_id, device_id=device.id))
        return now is not None and now.address != device.address


def record_accepted(tx: Connection, accepted: Sequence[PushAccepted]) -> None:
    """Record accepted pushes: their jobs are done, and their destinations work."""
    jobs.done(tx, *(one.job for one in accepted))
    for one in accepted:
        message, device, channel = one.data.message, one.data.device, one.data.channel
        if one.thread is not None:
            external_threads.put(
                tx, channel.name, one.thread, device.extension, message.conversation_id, message.seq
            )
        if one.passed_on is not None:
            told = one.passed_on
            attempts.add(tx, one.job, attempts.PASSED_ON, told.reason, told.code)
        if channel.per_device:
            devices.record_push(tx, device.id, None)
    for name in sorted({one.job.destination for one in accepted}):
        circuit_breakers.resume(tx, name)


def _is_needless(tx: Connection, job: Job, data: _PushData) -> bool:
    """Whether a push would show nothing new.

    The message was read, or it arrived in quiet hours that are over and a newer one of its
    conversation follows.
    """
    message, device = data.message, data.device
    marks = conversations.read_marks(tx, device.extension, [message.conversation_id])
    if marks.get(message.conversation_id, 0) >= message.seq:
        return True
    quiet = device.quiet_hours
    slept = quiet is not None and quiet.ends(message.created_at) is not None
    return slept and jobs.has_later(tx, job)

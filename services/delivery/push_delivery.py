"""Pushes: a device is told of a message, unless it need not or does not want to be told now."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from services.core.errors import DeliveryError, Kind, PushError, RequestRefused
from services.core.messages import Device, Message, Notice, message_object
from services.delivery import notification_text
from services.push.base import Channel
from services.store import (
    circuit_breakers,
    conversations,
    devices,
    external_threads,
    jobs,
    messages,
)
from services.store.jobs import Job, JobKind

if TYPE_CHECKING:
    from services.gateway import Gateway

Work = Callable[[Connection], object]
LOOK_AGAIN_SECONDS = 10.0  # whether the files of a message have come


@dataclass(frozen=True, slots=True)
class _Known:
    """What a push is about, as the database has it at one moment.

    ``put_off`` is until when (seconds since 1970) and why the push has to wait, ``needless`` that
    it would tell nothing new.
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
    """A push that was taken: its job, what it was about, and the app's name for the thread."""

    job: Job
    known: _Known
    thread: str | None


class PushDelivery:
    """Tells devices by their channels."""

    def __init__(self, gateway: "Gateway") -> None:
        self._house = gateway
        self._begun: list[Job] = []
        self._ahead: dict[Job, _Known] = {}

    def begin(self, claimed: Iterable[Job]) -> None:
        """Note the jobs of a claim, which are done now: the first looks up what all are about.

        What failed before looks by itself, so that a fault of it is not that of others.
        """
        self._begun = [job for job in claimed if job.kind is JobKind.PUSH and job.attempts == 1]

    def push(self, job: Job) -> Work | PushAccepted:
        """Do a job; returns what is to be written down then. Raises ``PushError``."""
        if job in self._begun:
            begun, self._begun = self._begun, []
            self._ahead = self._house.store.read(partial(self._look_ahead, begun=begun))
        known = self._ahead.pop(job, None)
        if known is None:
            known = self._house.store.read(partial(self._look_up, job=job))
        if known.put_off is not None:
            until, reason = known.put_off
            return lambda tx: jobs.retry(tx, job, until, reason, counts=False)
        if known.needless:
            return lambda tx: jobs.done(tx, job)
        try:
            thread = known.channel.notify(known.device, self._notice(known, job.about))
        except PushError as error:
            if error.kind is Kind.GONE and self._has_moved(known.device):
                reason = "The device registered anew while it was pushed to."
                raise PushError(reason, Kind.RETRY) from None
            raise
        return PushAccepted(job, known, thread)

    def test(self, device: Device) -> tuple[str, str]:
        """Push a test to a device now; returns what came of it: a word, and a sentence for people.

        The word is ``taken`` or the ``Kind`` of the failure. Raises ``RequestRefused`` for a device
        that is not pushed to, and ``StorageUnwell``.
        """
        channel = self._house.channels.get(device.channel)
        if channel is None:
            raise RequestRefused(
                "no_push",
                "This device is not pushed to. Register its push address first: "
                "PUT /devices/{id} with “push”.",
                status=409,
            )
        try:
            channel.notify(device, notification_text.test(device))
        except PushError as error:
            self._house.store.write(partial(record_failure, device_id=device.id, error=error))
            return str(error.kind), error.reason
        self._house.store.write(partial(devices.pushed, device_id=device.id, error=None))
        return "taken", f"{channel.title}: the notification was taken and is on its way."

    def _look_ahead(self, tx: Connection, begun: Sequence[Job]) -> dict[Job, _Known]:
        known = {}
        for job in begun:
            with suppress(DeliveryError):  # it is raised once it is that job's turn
                known[job] = self._look_up(tx, job)
        return known

    def _look_up(self, tx: Connection, job: Job) -> _Known:
        message = messages.by_id(tx, job.message_id)
        if message is None:
            raise DeliveryError("The message is not known any more.", Kind.REFUSED)
        device = _device(tx, job)
        channel = self._house.channels.get(device.channel)
        if channel is None:
            raise PushError("The device has no push address any more.", Kind.REFUSED)
        known = _Known(message, device, channel)
        received = job.about == "received"
        if received and channel.waits_for_media and jobs.waits_for_files(tx, job):
            return replace(known, put_off=(time.time() + LOOK_AGAIN_SECONDS, "Waits for files."))
        if received and channel.per_device:
            quiet = device.quiet_hours
            awake_at = quiet.ends(time.time()) if quiet is not None else None
            if awake_at is not None:
                return replace(known, put_off=(awake_at, "Quiet hours."))
            if _is_needless(tx, job, known):
                return replace(known, needless=True)
        extension = device.extension
        numbers = tuple(own.number for own in self._house.settings.for_extension(extension))
        return replace(
            known,
            numbers=numbers,
            unread=messages.unread(tx, extension, [message.conversation_id])[
                message.conversation_id
            ],
            unread_total=(
                messages.unread_total(tx, extension, numbers) if channel.per_device else 0
            ),
        )

    def _notice(self, known: _Known, about: str) -> Notice:
        link = self._house.media.link
        notice = notification_text.of_message(
            known.message, known.device, about, lambda message: message_object(message, link)
        )
        return replace(
            notice,
            unread=known.unread,
            unread_total=known.unread_total,
            numbers=known.numbers,
        )

    def _has_moved(self, device: Device) -> bool:
        now = self._house.store.read(partial(devices.by_id, device_id=device.id))
        return now is not None and now.address != device.address


def record_accepted(tx: Connection, taken: Sequence[PushAccepted]) -> None:
    """Note that pushes were taken: their jobs are done, and their destinations are well."""
    for one in taken:
        jobs.done(tx, one.job)
        message, device, channel = one.known.message, one.known.device, one.known.channel
        if one.thread is not None:
            external_threads.put(
                tx, channel.name, one.thread, device.extension, message.conversation_id, message.seq
            )
        if channel.per_device:
            devices.pushed(tx, device.id, None)
    for name in sorted({one.job.destination for one in taken}):
        circuit_breakers.resume(tx, name)


def record_failure(tx: Connection, device_id: str, error: DeliveryError) -> None:
    """Let the device show why it was not pushed to; an address that is gone is forgotten."""
    if error.kind is Kind.GONE:
        devices.forget_address(tx, device_id, error.reason)
    else:
        devices.pushed(tx, device_id, error.reason)


def _device(tx: Connection, job: Job) -> Device:
    name, colon, extension = job.target.partition(":")
    if colon:
        return Device(id=job.target, extension=extension, channel=name)
    device = devices.by_id(tx, job.target)
    if device is None:
        raise PushError("The device was revoked.", Kind.REFUSED)
    return device


def _is_needless(tx: Connection, job: Job, known: _Known) -> bool:
    """Whether the message was read, or came in quiet hours that are over, and a newer one of its
    conversation follows."""
    message, device = known.message, known.device
    marks = conversations.read_marks(tx, device.extension, [message.conversation_id])
    if marks.get(message.conversation_id, 0) >= message.seq:
        return True
    quiet = device.quiet_hours
    slept = quiet is not None and quiet.ends(message.created_at) is not None
    return slept and jobs.has_later(tx, job)

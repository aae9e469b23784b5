"""Timeline of one message: its arrival, every attempt, and every answer of a carrier."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sqlalchemy import Connection

from services.core.authors import NO_NAMES, is_address, with_name
from services.core.messages import Attachment, DeliveryStatus, Device, Message, Status
from services.core.phone_numbers import international
from services.message_settings import MessageSettings
from services.operations.operator_actions import OPERATOR, message_of, why_unrouted
from services.providers import PROVIDERS
from services.push import CHANNELS
from services.store import assignments, attempts, contacts, devices, jobs, messages, receipts
from services.store.assignments import Assignment, Turn
from services.store.attempts import Attempt
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

Tone = Literal["good", "warn", "bad", "busy", "quiet"]
TONES: dict[Status, Tone] = {
    Status.SENT: "good",
    Status.DELIVERED: "good",
    Status.FAILED: "bad",
    Status.UNKNOWN: "warn",
}
CARRIERS = {provider.name: provider.title for provider in PROVIDERS}
CHANNEL_TITLES = {channel.name: channel.title for channel in CHANNELS}


@dataclass(frozen=True, slots=True)
class Step:
    """One event of the past, or a planned one: ``title`` is our description.

    ``said`` and ``code`` are the answer of a carrier or service. ``job`` is the one
    that failed at this step and can be retried.
    """

    at: float
    title: str
    tone: Tone = "quiet"
    said: str = ""
    code: str | None = None
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class MessageHistory:
    """A message with its jobs, failures and receipts, read at one moment; ``names`` by number.

    ``replaced`` is the refused message in place of which it is sent.
    """

    message: Message
    jobs: list[Job]
    failures: list[Attempt]
    receipts: list[tuple[float, DeliveryStatus]]
    devices: Mapping[str, Device]
    names: Mapping[str, str]
    assignment: Assignment | None = None
    turns: Sequence[Turn] = ()
    replaced: Message | None = None

    @property
    def dead(self) -> list[Job]:
        """The jobs that failed for good."""
        return [job for job in self.jobs if job.state == "dead"]


def load(store: Store, message_id: str) -> MessageHistory:
    """A message with its history. Raises ``RequestRefused`` where there is none."""
    return store.read(partial(history, message_id=message_id))


def targets(tx: Connection, found: Iterable[Job]) -> Mapping[str, Device]:
    """The devices that jobs are for, by their ids."""
    return devices.including_revoked(tx, [job.target for job in found if job.kind is JobKind.PUSH])


def steps(settings: MessageSettings, known: MessageHistory) -> list[Step]:
    """The steps of a message by time; planned ones are last."""
    names = settings.names
    is_inbound = known.message.direction == "in"
    beginning = _came_in(settings, known) if is_inbound else _written(known, names)
    turns = (
        Step(
            turn.at,
            f"In its turn, {with_name(turn.extension, names)} of the group “{turn.group_name}” "
            "got it",
        )
        for turn in known.turns
    )
    found = [*beginning, *turns, *_done(known, names), *_receipts(known)]
    return sorted(found, key=lambda step: step.at)


def target_name(
    job: Job,
    known: Mapping[str, Device],
    files: Sequence[Attachment] = (),
    names: Mapping[str, str] = NO_NAMES,
) -> str:
    """The target of a job as people know it; ``names`` are those of extensions."""
    if job.kind is JobKind.PUSH:
        return _device(job.target, known, names)
    if job.kind is JobKind.FETCH:
        return next((file.name or file.id for file in files if file.id == job.target), job.target)
    if job.kind is JobKind.EMAIL:
        return job.target
    carrier = job.destination.rpartition(":")[2]
    return CARRIERS.get(carrier, carrier)


def rules_named(names: str) -> str:
    """The rules that are kept with a message, as people call them."""
    return f"the rules “{names}”" if ", " in names else f"the rule “{names}”"


def history(tx: Connection, message_id: str) -> MessageHistory:
    """As ``load``, in a transaction of the caller."""
    message = message_of(tx, message_id)
    todo = jobs.of(tx, message_id)
    return MessageHistory(
        message,
        todo,
        attempts.of(tx, [job.id for job in todo]),
        receipts.arrivals(tx, message_id),
        targets(tx, todo),
        contacts.names(tx, [message.peer, *message.participants]),
        assignments.by_id(tx, message.conversation_id),
        assignments.turns_of(tx, message.id),
        messages.by_id(tx, message.instead_of) if message.instead_of is not None else None,
    )


def _came_in(settings: MessageSettings, known: MessageHistory) -> Iterator[Step]:
    message = known.message
    carrier = CARRIERS.get(message.provider, message.provider)
    if message.carrier_time is not None:
        yield Step(message.carrier_time, f"Sent, by {carrier}’s clock")
    yield Step(message.created_at, f"Came in from {carrier} and was kept", "good")
    for file in message.media:
        if file.state == "kept" and not any(job.target == file.id for job in known.jobs):
            yield Step(message.created_at, f"{file.name or file.id} came with it", "good")
    setting = settings.for_number(message.number)
    if not message.routed:
        why = why_unrouted(setting)
        yield Step(message.created_at, "Unassigned", "bad", why)
        return
    if message.rule is not None:
        yield Step(message.created_at, f"Given to its recipients by {rules_named(message.rule)}")
        return
    recipients: tuple[str, ...] = ()
    if setting is not None:
        named = (with_name(extension, settings.names) for extension in setting.extensions)
        recipients = (*named, *setting.emails)
    if recipients:
        yield Step(message.created_at, f"For {', '.join(recipients)}, by Message Settings")
    else:
        yield Step(message.created_at, "Its number has left Message Settings since then")


def _written(known: MessageHistory, names: Mapping[str, str]) -> Iterator[Step]:
    writer, rule = known.message.extension, known.message.rule
    by = f" by {_author(writer, names)}" if writer else ""
    if rule is not None:
        by = f"{by}, by a number of {rules_named(rule)}" if writer else f" by {rules_named(rule)}"
    message = known.message
    if message.instead_of is not None:
        first = "another number"
        if known.replaced is not None:
            first = international(known.replaced.number)
        by = f"{by}, as a send by {first} was refused"
    if message.send_at is None:
        yield Step(message.created_at, f"Written{by}, kept, and queued for sending", "good")
    elif message.status is Status.SCHEDULED:
        yield Step(message.created_at, f"Written{by}, kept, and scheduled", "good")
        yield Step(message.send_at, "To be sent", "busy", message.waits_because or "")
    elif message.status is Status.CANCELLED:
        yield Step(message.created_at, f"Written{by}, kept, and scheduled", "good")
        yield _not_sent(message, "Cancelled")
    elif known.jobs:
        yield Step(message.created_at, f"Written{by} before, and queued at its time", "good")
    else:
        yield _not_sent(message, f"Written{by} before, and not sent at its time")


def _author(writer: str, names: Mapping[str, str]) -> str:
    if is_address(writer) or names.get(writer):
        return with_name(writer, names)
    return f"extension {writer}"


def _not_sent(message: Message, title: str) -> Step:
    return Step(message.updated_at, title, "bad", message.error_reason or "", message.error_code)


def _done(known: MessageHistory, names: Mapping[str, str]) -> Iterator[Step]:
    for job in known.jobs:
        failures = [one for one in known.failures if one.job_id == job.id]
        doing = _doing(job, known, names)
        if job.state == "dead" and failures and failures[-1].reason == job.error:
            last = failures.pop()  # the one that made it final
            title = f"{doing}: {_failed(job)}"
            yield Step(job.updated_at, title, "bad", last.reason, last.code, job)
        elif job.state == "dead":
            yield Step(job.updated_at, f"{doing}: {_failed(job)}", "bad", job.error or "", job=job)
        for failure in failures:
            if failure.outcome == attempts.AGAIN:
                yield Step(failure.at, f"{doing}: once more", "busy", failure.reason)
            elif failure.outcome == attempts.PASSED_ON:
                yield Step(failure.at, f"{doing}: passed on", "good", failure.reason, failure.code)
            else:
                failed = f"{doing}: attempt {failure.number} failed"
                yield Step(failure.at, failed, "warn", failure.reason, failure.code)
        passed_on = any(failure.outcome == attempts.PASSED_ON for failure in failures)
        if job.state == "done" and job.error is None and not passed_on:
            tried = f", at attempt {job.attempts}" if job.attempts > 1 else ""
            yield Step(job.updated_at, f"{doing}: done{tried}", "good")
        elif job.state == "leased":
            yield Step(job.updated_at, f"{doing}: at it", "busy")
        elif job.state == "due":
            yield Step(job.due, f"{doing}: due", "busy", job.error or "")


def _failed(job: Job) -> str:
    """What a job that will not be tried again by itself has come to."""
    looked_up = job.kind in (JobKind.FETCH, JobKind.RECONCILE)
    return "failed" if looked_up else "could not be delivered"


def _doing(job: Job, known: MessageHistory, names: Mapping[str, str]) -> str:
    to = target_name(job, known.devices, known.message.media, names)
    match job.kind:
        case JobKind.SEND:
            return f"Handing it to {to}"
        case JobKind.EMAIL:
            return f"Mail to {to}{f' ({job.about})' if job.about else ''}"
        case JobKind.FETCH:
            return f"Fetching {to}"
        case JobKind.RECONCILE:
            return f"Asking {to} what became of it"
        case JobKind.PUSH:
            what = "" if job.about in ("", "received") else f" ({job.about})"
            return f"Push to {to}{what}"


def _receipts(known: MessageHistory) -> Iterator[Step]:
    carrier = CARRIERS.get(known.message.provider, known.message.provider)
    for at, receipt in known.receipts:
        if receipt.event.startswith(f"{OPERATOR}:"):
            yield Step(at, "The administrator says that it was sent", "good")
            continue
        peer = f" for {international(receipt.peer)}" if known.message.participants else ""
        tone = TONES.get(receipt.status, "quiet")
        title = f"{carrier} said “{receipt.event}”{peer}: {receipt.status}"
        yield Step(at, title, tone, receipt.reason or "", receipt.code)


def _device(target: str, known: Mapping[str, Device], names: Mapping[str, str]) -> str:
    device = known.get(target)
    if device is not None:
        return f"“{device.name}” of {with_name(device.extension, names)}"
    channel, colon, extension = target.partition(":")
    if colon:
        return f"{with_name(extension, names)} by {CHANNEL_TITLES.get(channel, channel)}"
    return "a device that is gone"

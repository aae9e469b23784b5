"""Verdict on an outbound message: what holds it, who refused it, whether it was delivered."""

from collections.abc import Callable, Mapping

from services.core.durations import HOUR
from services.core.messages import Message, Status
from services.operations.verdict_facts import Facts
from services.operations.verdict_table import ROWS, Verdict, carrier_code, verdict
from services.providers.base import Provider
from services.store.jobs import WAITS_FOR_TURN, Job, JobKind

UNCONFIRMED_SECONDS = HOUR  # after which a delivery report is missed
OURS = "not_allowed"  # a refusal of Textbridge itself that has no row of its own


def outbound_verdict(facts: Facts, message: Message, providers: Mapping[str, Provider]) -> Verdict:
    """The verdict on an outbound message; ``message`` may be newer than that of the facts."""
    provider = providers.get(message.provider)
    judge = BY_STATUS.get(message.status, _failed)
    return judge(facts, message, provider)


def _delivered(facts: Facts, message: Message, _: Provider | None) -> Verdict:
    in_part = message.participants and message.error_reason
    return verdict("delivered_in_part" if in_part else "delivered", facts.known())


def _sending(facts: Facts, message: Message, provider: Provider | None) -> Verdict:
    """A send that has begun; after a failed attempt its job waits again."""
    job = _open_job(facts, JobKind.SEND)
    if job is not None and job.state == "due":
        return _queued(facts, message, provider)
    has_left = job is None and any(one.state == "done" for one in facts.history.jobs)
    return _sent(facts, message, provider) if has_left else verdict("sending", facts.known())


def _sent(facts: Facts, message: Message, provider: Provider | None) -> Verdict:
    if provider is not None and provider.receipts and facts.refusal is not None:
        return verdict("receipts_refused", facts.known(reason=facts.refusal.detail))
    is_late = facts.now - message.updated_at > UNCONFIRMED_SECONDS
    return verdict("sent_unconfirmed" if is_late else "sent", facts.known())


def _unknown(facts: Facts, message: Message, _: Provider | None) -> Verdict:
    known = facts.known(reason=message.error_reason or "")
    asking = _open_job(facts, JobKind.RECONCILE)
    if asking is not None:
        return verdict("unknown_being_asked", known | {"until": facts.at(asking.due)})
    return verdict("unknown", known)


def _scheduled(facts: Facts, message: Message, _: Provider | None) -> Verdict:
    if not facts.has_worker and message.send_at is not None and message.send_at < facts.now:
        return verdict("worker_stopped", facts.known())
    known = facts.known(until=facts.at(message.send_at), reason=message.waits_because or "")
    return verdict("quiet_hours" if message.waits_because else "scheduled", known)


def _queued(facts: Facts, _: Message, provider: Provider | None) -> Verdict:
    job = _open_job(facts, JobKind.SEND)
    if not facts.has_worker:
        return verdict("worker_stopped", facts.known())
    if provider is None:
        return verdict("carrier_off", facts.known())
    return _waiting(facts, job) if job is not None else verdict("queued", facts.known())


def _waiting(facts: Facts, job: Job) -> Verdict:
    """Why a send waits, while a worker and its carrier are there."""
    known = facts.known(until=facts.at(job.due), reason=job.error or "")
    pause = facts.pause_of(job)
    if pause is not None:
        code = "carrier_paused" if pause.config else "carrier_asked_to_wait"
        return verdict(code, known | {"reason": pause.reason, "until": facts.at(pause.until)})
    if job.error == WAITS_FOR_TURN:
        return verdict("sending_limit", known)
    if facts.failed(job):
        return verdict("retrying", known)
    return verdict("quiet_hours" if job.error and job.due > facts.now else "queued", known)


def _failed(facts: Facts, message: Message, provider: Provider | None) -> Verdict:
    known = facts.known(reason=message.error_reason or "", other=message.replaced_by or "")
    if message.replaced_by is not None:
        return verdict("replaced", known)
    code = message.error_code or ""
    was_tried = any(job.kind is JobKind.SEND for job in facts.history.jobs)
    if code in OWN_CODES:
        return verdict(code, known)
    if message.status is Status.CANCELLED:
        return verdict("cancelled", known)
    if not was_tried and not facts.history.receipts:
        return verdict(OURS, known)
    causes = provider.causes if provider is not None else {}
    return verdict(carrier_code(causes.get(code)), known)


# Codes of refusals of Textbridge itself that are rows of the table.
OWN_CODES = {
    "cancelled",
    "answered",
    "restored",
    "too_late",
    "opted_out",
    "country_not_allowed",
    "number_not_yours",
}
assert ROWS.keys() >= OWN_CODES  # noqa: S101 - two lists that belong together


def _open_job(facts: Facts, kind: JobKind) -> Job | None:
    """The job of a kind that waits or is being done."""
    jobs = (job for job in facts.history.jobs if job.kind is kind)
    return next((job for job in jobs if job.state in ("due", "leased")), None)


Judge = Callable[[Facts, Message, Provider | None], Verdict]
BY_STATUS: Mapping[Status, Judge] = {
    Status.DELIVERED: _delivered,
    Status.SENT: _sent,
    Status.SENDING: _sending,
    Status.UNKNOWN: _unknown,
    Status.SCHEDULED: _scheduled,
    Status.QUEUED: _queued,
}

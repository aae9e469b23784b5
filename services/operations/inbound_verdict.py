"""Verdict on an inbound message: who has read it, what was notified, and why nobody was."""

from collections.abc import Iterator, Mapping

from services.core.authors import with_name
from services.core.messages import Device
from services.message_settings import MessageSettings
from services.messaging.access import ConversationAccess
from services.operations import timeline
from services.operations.verdict_facts import Facts
from services.operations.verdict_table import Verdict, verdict
from services.push.base import Channel
from services.store.jobs import IN_QUIET_HOURS, WAITS_FOR_FILES, Job, JobKind

RECEIVED = "received"  # ``about`` of the push job that notifies of a new text
WAITS = {IN_QUIET_HOURS: "device_quiet_hours", WAITS_FOR_FILES: "files_missing"}


def inbound_verdicts(
    facts: Facts,
    settings: MessageSettings,
    access: ConversationAccess,
    channels: Mapping[str, Channel],
) -> list[Verdict]:
    """The verdicts on an inbound message, the most telling one first."""
    message = facts.history.message
    if facts.readers:
        return [verdict("read", facts.known(extension=", ".join(facts.readers)))]
    if facts.is_blocked:
        return [verdict("sender_blocked", facts.known())]
    if not message.routed:
        return [_unassigned(facts, settings)]
    found = [_of_job(facts, access, job) for job in facts.history.jobs if _delivers(job)]
    done = [one for one in found if one.code in ("notified", "mailed")]
    others = [one for one in found if one not in done]
    lost = [
        verdict("file_lost", facts.known(reason=file.reason or ""))
        for file in message.media
        if file.state == "failed"
    ]
    reached = {job.target for job in facts.history.jobs}
    silent = [] if done else list(_not_notified(facts, channels, reached))
    return [*done, *others, *silent, *lost] or [verdict("nobody_notified", facts.known())]


def _unassigned(facts: Facts, settings: MessageSettings) -> Verdict:
    setting = settings.for_number(facts.history.message.number)
    if setting is None:
        return verdict("number_unknown", facts.known())
    if not setting.enabled:
        return verdict("number_disabled", facts.known())
    if facts.decision.reaches_somebody:
        return verdict("about_to_be_assigned", facts.known())
    has_rules = bool(facts.decision.rule_names)
    code = "rules_give_it_to_nobody" if has_rules else "number_without_recipient"
    return verdict(code, facts.known())


def _delivers(job: Job) -> bool:
    return job.kind is JobKind.EMAIL or (job.kind is JobKind.PUSH and job.about == RECEIVED)


def _of_job(facts: Facts, access: ConversationAccess, job: Job) -> Verdict:
    """The verdict on one push or mail."""
    is_mail = job.kind is JobKind.EMAIL
    known = facts.known(
        target=timeline.target_name(job, facts.history.devices, names=facts.names),
        reason=job.error or "",
        until=facts.at(job.due),
        extension=_extension(facts, job),
    )
    if job.state == "done":
        return verdict("mailed" if is_mail else "notified", known)
    if job.state == "dead":
        return _given_up(facts, access, job, known)
    return _waiting(facts, job, known)


def _waiting(facts: Facts, job: Job, known: dict[str, str]) -> Verdict:
    """Why a push or mail waits."""
    kind = "mail" if job.kind is JobKind.EMAIL else "push"
    pause = facts.pause_of(job)
    if not facts.has_worker:
        return verdict("delivery_stopped", known)
    if pause is not None:
        known |= {"reason": pause.reason, "until": facts.at(pause.until)}
        return verdict(f"{kind}_paused" if pause.config else f"{kind}_asked_to_wait", known)
    if job.error in WAITS:
        return verdict(WAITS[job.error], known)
    return verdict(f"{kind}_retrying" if facts.failed(job) else "waiting_for_worker", known)


def _given_up(
    facts: Facts, access: ConversationAccess, job: Job, known: Mapping[str, str]
) -> Verdict:
    number = facts.history.message.number
    if job.kind is JobKind.EMAIL:
        lost = access.lost_by_address(job.target, number)
    else:
        lost = access.lost_by_extension(known["extension"], number)
    if lost:
        return verdict("access_lost", {**known, "reason": lost})
    if job.kind is JobKind.EMAIL:
        return verdict("mail_refused", known)
    current = next((one for one in facts.devices if one.id == job.target), None)
    if ":" in job.target or (current is not None and current.channel != "none"):
        return verdict("push_refused", known)
    if current is None:
        return verdict("device_removed", known)
    return verdict("push_gone", {**known, "reason": current.last_error or job.error or ""})


def _not_notified(
    facts: Facts, channels: Mapping[str, Channel], reached: set[str]
) -> Iterator[Verdict]:
    """Why extensions that should get a text were not notified at all."""
    owner = facts.history.assignment.owner if facts.history.assignment else None
    for extension in facts.decision.all_extensions:
        theirs = [one for one in facts.devices if one.extension == extension]
        known = facts.known(extension=extension)
        if any(f"{channel}:{extension}" in reached for channel in channels):
            continue
        if any(device.id in reached for device in theirs):
            continue
        if extension in facts.muted:
            yield verdict("muted", known)
        elif owner is not None and owner != extension:
            yield verdict("owner_only", facts.known(extension=owner))
        elif not theirs:
            yield verdict("no_device", known)
        else:
            yield from (_switched_off(facts, device) for device in theirs)


def _switched_off(facts: Facts, device: Device) -> Verdict:
    target = f"“{device.name}” of {with_name(device.extension, facts.names)}"
    if device.channel == "none" and device.last_error:
        return verdict("push_gone", facts.known(target=target, reason=device.last_error))
    return verdict("push_off", facts.known(target=target))


def _extension(facts: Facts, job: Job) -> str:
    """The extension that a push is for; empty for a mail."""
    if job.kind is not JobKind.PUSH:
        return ""
    device = facts.history.devices.get(job.target)
    return device.extension if device is not None else job.target.partition(":")[2]

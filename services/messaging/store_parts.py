"""Storing of parsed webhook calls: messages, delivery receipts, unreadable parts, and their jobs.

Everything here runs in a transaction of the caller.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from services.core.errors import NumberError
from services.core.messages import DeliveryStatus, Message, Parsed, Unreadable, WebhookCall
from services.core.phone_numbers import own_number, sender
from services.message_settings import MessageSettings
from services.message_settings.rules import Decision, InboundRule
from services.messaging.automatic_answers import AutomaticAnswers
from services.messaging.opt_out import OptOuts, add_answer, is_blocked
from services.messaging.route import PushTargets, Router
from services.messaging.send_limits import SendLimits
from services.store import jobs, messages, quarantine, statuses
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.jobs import Job

Outcome = tuple[str, str]
"""``received``, ``repeated``, ``status`` or ``quarantined``, and the id of the message if any."""
AddJobs = Callable[[Connection, Iterable[Job]], None]


@dataclass(eq=False)
class Batch:
    """What the parts of one transaction share.

    ``add_jobs`` adds their jobs, ``seqs`` are numbers that were taken for their messages, and
    ``targets`` is what was looked up for earlier ones. ``replies`` to STOP and HELP are stored when
    all parts are, and then the ``answers`` of rules to texts.
    """

    add_jobs: AddJobs = jobs.add
    seqs: Iterator[int] = field(default_factory=lambda: iter(()))
    targets: PushTargets = field(default_factory=dict)
    replies: list[Message] = field(default_factory=list)
    answers: list[tuple[Message, InboundRule]] = field(default_factory=list)


@dataclass(eq=False)
class PartStore:
    """Stores the parts of calls, each once, with the jobs that follow from them.

    ``country`` is assumed for numbers without a country code.
    """

    settings: MessageSettings
    router: Router
    limits: SendLimits
    country: str
    opt_outs: OptOuts
    automatic: AutomaticAnswers

    def prepare(self) -> None:
        """Read changed Message Settings now, so that no transaction waits for it."""
        self.settings.refresh()

    def own_number(self, written: str) -> str:
        """Our number in a carrier's call: by an alias in Message Settings, else E.164.

        Raises ``NumberError`` for what is neither.
        """
        alias = self.settings.for_alias(written)
        return alias.number if alias is not None else own_number(written, self.country)

    def checked(self, part: Parsed, call: WebhookCall) -> Parsed:
        """A part as ``store`` takes it: a message whose number of ours is none is unreadable."""
        if isinstance(part, Message):
            try:
                self.own_number(part.number)
            except NumberError as error:
                return Unreadable(str(error), call.body)
        return part

    def store(
        self,
        tx: Connection,
        provider: str,
        call: WebhookCall,
        parsed: Iterable[Parsed],
        batch: Batch | None = None,
    ) -> list[Outcome]:
        """Store the parts of a call of a carrier; returns the outcome of each.

        Without a ``batch`` they are old ones, which are not answered automatically.
        """
        batch = batch or Batch()
        return [self._store(tx, provider, call, part, batch) for part in parsed]

    def answer(self, tx: Connection, batch: Batch) -> None:
        """Queue the automatic answers to the texts of a batch, whose parts are all stored."""
        batch.add_jobs(tx, [add_answer(tx, reply) for reply in batch.replies])
        for message, rule in batch.answers:
            self.automatic.answer(tx, message, rule)

    def _store(
        self, tx: Connection, provider: str, call: WebhookCall, part: Parsed, batch: Batch
    ) -> Outcome:
        audit_counters.add(tx, AuditCounter.ENTERED)
        try:
            if isinstance(part, Message):
                return self._store_message(tx, provider, part, batch)
            if isinstance(part, DeliveryStatus):
                return self._store_status(tx, provider, part, batch)
        except NumberError as error:
            part = Unreadable(str(error), call.body)
        quarantine.add(tx, provider, call, part.reason, part.body)
        return "quarantined", ""

    def _store_message(self, tx: Connection, provider: str, raw: Message, batch: Batch) -> Outcome:
        number = self.own_number(raw.number)
        peer = sender(raw.peer, self.country)
        decision = self.router.decide(replace(raw, number=number, peer=peer))
        members = dict.fromkeys(sender(member, self.country) for member in raw.participants)
        members.pop(number, None)
        message = messages.add_inbound(
            tx,
            replace(
                raw,
                provider=provider,
                number=number,
                peer=peer,
                participants=tuple(members) if len(members) > 1 else (),
                routed=decision.reaches_somebody,
                rule=decision.rule_names,
                seq=next(batch.seqs, 0),
            ),
        )
        if message is None:
            return "repeated", ""
        kept = sum(file.size for file in message.media if file.state == "kept")
        if kept:
            self.limits.count_received(tx, message.peer, kept)
        blocked = is_blocked(tx, message)
        answer = self.opt_outs.received(tx, message, blocked=blocked)
        delivered = Decision() if blocked else decision
        batch.add_jobs(tx, self.router.inbound_jobs(tx, message, delivered, batch.targets))
        if answer is not None:
            batch.replies.append(answer)
        elif delivered.answer is not None:
            batch.answers.append((message, delivered.answer))
        return "received", message.id

    def _store_status(
        self, tx: Connection, provider: str, raw: DeliveryStatus, batch: Batch
    ) -> Outcome:
        status = replace(raw, peer=sender(raw.peer, self.country)) if raw.peer else raw
        if status.code is not None:
            self._note_opt_out(tx, provider, status)
        message = statuses.record_status(tx, provider, status)
        audit_counters.add(tx, AuditCounter.STATUSES)
        if message is not None:
            batch.add_jobs(tx, self.router.update_jobs(message, str(message.status)))
        return "status", message.id if message is not None else ""

    def _note_opt_out(self, tx: Connection, provider: str, status: DeliveryStatus) -> None:
        sent = statuses.message_of(tx, provider, status)
        if sent is not None:
            self.opt_outs.refused(tx, sent, status.peer, status.code)

"""Storing of parsed webhook calls: messages, delivery receipts, unreadable parts, and their jobs.

Everything here runs in a transaction of the caller.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from services.core.errors import NumberError
from services.core.messages import (
    DeliveryStatus,
    Message,
    Parsed,
    Unreadable,
    WebhookCall,
)
from services.core.phone_numbers import own_number, sender
from services.message_settings import MessageSettings
from services.message_settings.rules import Decision, InboundRule
from services.messaging.automatic_answers import AutomaticAnswers
from services.messaging.opt_out import OptOuts, add_answer
from services.messaging.route import Router, RoutingData, load_routing_data
from services.messaging.send_limits import SendLimits
from services.store import blocked_senders, jobs, messages, quarantine, statuses
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.jobs import Job

Outcome = tuple[str, str]
"""``received``, ``repeated``, ``status`` or ``quarantined``, and the id of the message if any."""
AddJobs = Callable[[Connection, Iterable[Job]], object]


@dataclass(frozen=True, slots=True)
class CallParts:
    """A call of a carrier and the parts that are stored of it."""

    provider: str
    call: WebhookCall
    parts: Sequence[Parsed]


@dataclass(frozen=True, slots=True)
class _Text:
    """An inbound message that is not stored yet, and who gets it."""

    message: Message
    decision: Decision


_Read = _Text | DeliveryStatus | Unreadable


@dataclass(eq=False, slots=True)
class _Batch:
    """What the parts of one transaction share.

    ``stored`` are its messages by ``seq``; ``blocked`` are (number, sender) of the blocked senders.
    ``replies`` to STOP and HELP and the ``answers`` of rules are stored when all parts are.
    """

    stored: dict[int, Message]
    blocked: set[tuple[str, str]]
    routing: RoutingData
    jobs: list[Job] = field(default_factory=list)
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
        calls: Sequence[CallParts],
        add_jobs: AddJobs = jobs.add,
        *,
        answers: bool = True,
    ) -> list[list[Outcome]]:
        """Store the parts of calls; returns the outcome of each part of each call.

        ``add_jobs`` adds their jobs. Without ``answers`` the texts are old ones, which are not
        answered automatically.
        """
        count = sum(isinstance(part, Message) for call in calls for part in call.parts)
        seqs = iter(messages.next_seqs(tx, count) if count else ())
        read = [[self._read(call, part, seqs) for part in call.parts] for call in calls]
        batch = _begin(tx, [part for parts in read for part in parts if isinstance(part, _Text)])
        outcomes = [
            [self._store(tx, call, part, batch) for part in parts]
            for call, parts in zip(calls, read, strict=True)
        ]
        audit_counters.add(tx, AuditCounter.ENTERED, sum(map(len, outcomes)))
        replies = [add_answer(tx, reply) for reply in batch.replies] if answers else []
        add_jobs(tx, [*batch.jobs, *replies])
        for message, rule in batch.answers if answers else ():
            self.automatic.answer(tx, message, rule)
        return outcomes

    def store_old(self, tx: Connection, call: CallParts) -> list[Outcome]:
        """Store the parts of one call from earlier, whose texts are not answered any more."""
        return self.store(tx, [call], answers=False)[0]

    def _read(self, call: CallParts, part: Parsed, seqs: Iterator[int]) -> _Read:
        """A part with numbers as they are stored, and who gets it."""
        if not isinstance(part, Message):
            return part
        try:
            return self._text(call, part, next(seqs))
        except NumberError as error:
            return Unreadable(str(error), call.call.body)

    def _text(self, call: CallParts, raw: Message, seq: int) -> _Text:
        number = self.own_number(raw.number)
        peer = sender(raw.peer, self.country)
        decision = self.router.decide(number, peer, raw.text, raw.created_at)
        members = dict.fromkeys(sender(member, self.country) for member in raw.participants)
        members.pop(number, None)
        message = replace(
            raw,
            provider=call.provider,
            number=number,
            peer=peer,
            participants=tuple(members) if len(members) > 1 else (),
            routed=decision.reaches_somebody,
            rule=decision.rule_names,
            seq=seq,
        )
        return _Text(message, decision)

    def _store(self, tx: Connection, call: CallParts, part: _Read, batch: _Batch) -> Outcome:
        if isinstance(part, _Text):
            return self._store_text(tx, part, batch)
        if isinstance(part, DeliveryStatus):
            return self._store_status(tx, call.provider, part, batch)
        quarantine.add(tx, call.provider, call.call, part.reason, part.body)
        return "quarantined", ""

    def _store_text(self, tx: Connection, text: _Text, batch: _Batch) -> Outcome:
        """Do what follows from an inbound message, which is stored unless it is a repeat."""
        message = batch.stored.get(text.message.seq)
        if message is None:
            return "repeated", ""
        kept = sum(file.size for file in message.media if file.state == "kept")
        if kept:
            self.limits.count_received(tx, message.peer, kept)
        blocked = (message.number, message.peer) in batch.blocked
        reply = self.opt_outs.received(tx, message, blocked=blocked)
        delivered = Decision() if blocked else text.decision
        batch.jobs += self.router.inbound_jobs(tx, message, delivered, batch.routing)
        if reply is not None:
            batch.replies.append(reply)
        elif delivered.answer is not None:
            batch.answers.append((message, delivered.answer))
        return "received", message.id

    def _store_status(
        self, tx: Connection, provider: str, raw: DeliveryStatus, batch: _Batch
    ) -> Outcome:
        status = replace(raw, peer=sender(raw.peer, self.country)) if raw.peer else raw
        if status.code is not None:
            self._note_opt_out(tx, provider, status)
        message = statuses.record_status(tx, provider, status)
        audit_counters.add(tx, AuditCounter.STATUSES)
        if message is not None:
            batch.jobs += self.router.update_jobs(message, str(message.status))
        return "status", message.id if message is not None else ""

    def _note_opt_out(self, tx: Connection, provider: str, status: DeliveryStatus) -> None:
        sent = statuses.message_of(tx, provider, status)
        if sent is not None:
            self.opt_outs.refused(tx, sent, status.peer, status.code)


def _begin(tx: Connection, texts: Sequence[_Text]) -> _Batch:
    """Store the messages of a transaction, and look up what their deliveries depend on."""
    added = messages.add_all_inbound(tx, [text.message for text in texts])
    stored = {message.seq: message for message in added if message is not None}
    senders = {(message.number, message.peer) for message in stored.values()}
    routing = load_routing_data(tx, (message.conversation_id for message in stored.values()))
    return _Batch(stored, blocked_senders.blocked_among(tx, senders), routing)

"""Opt-out: what follows from STOP, START and HELP, and who may not be texted.

An opt-out is recorded in the transaction that stores the text. Every send asks here again in the
transaction that begins it, so that no send begins after an opt-out is committed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from services.config.sections import OptOutSettings
from services.core.durations import HOUR
from services.core.errors import Kind, RequestRefused, SendError
from services.core.keywords import (
    STOP_WORDS,
    Keyword,
    is_soft_stop,
    keyword,
    keyword_words,
    normalised,
)
from services.core.local_time import LocalTime
from services.core.messages import AutomaticText, Message, Status
from services.core.phone_numbers import EVERY, channel_of, is_dialable, is_toll_free
from services.core.segments import count
from services.messaging.cancelling import cancel_scheduled
from services.messaging.route import Router
from services.messaging.send_limits import SendLimits
from services.providers.base import Provider
from services.store import (
    attempts,
    blocked_senders,
    counters,
    jobs,
    messages,
    opt_outs,
    quotas,
    scheduled,
    statuses,
)
from services.store.database import clock
from services.store.jobs import Job, JobKind
from services.store.opt_outs import OptOut, Source
from services.store.quotas import Quota

log = structlog.get_logger()

OPTED_OUT = "opted_out"
BY_A_PERSON = "by a person"  # ``about`` of the job of a scheduled text that a person sends now
CONFIRM_SECONDS = 300.0  # after STOP; 47 CFR 64.1200(a)(12) allows a confirmation for so long
HELP_ANSWERS = 3  # an hour to one person: two robots must not answer each other for ever
THEIR_WORD = "START from the person"


class OptedOut(SendError):
    """A recipient has opted out: the message was not handed to the carrier."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, Kind.REFUSED, code=OPTED_OUT)


@dataclass(eq=False)
class OptOuts:
    """Records opt-outs, answers STOP and HELP, and refuses texts to people who have opted out.

    ``name`` is the business's in answers. Every function runs in a transaction of the caller.
    """

    settings: OptOutSettings
    name: str
    providers: Mapping[str, Provider]
    limits: SendLimits
    router: Router
    local_time: LocalTime

    def received(
        self, tx: Connection, message: Message, *, blocked: bool = False
    ) -> Message | None:
        """Do what an inbound text asks for; returns the answer to it, not stored yet, if any.

        The text is stored already. The texts of a ``blocked`` sender get no answer but the
        confirmation of STOP.
        """
        meant = message.opt_out or keyword(message.text)
        if meant is Keyword.STOP:
            return self._stop(tx, message)
        if meant is Keyword.START or self.is_lifting_yes(tx, message):
            self._start(tx, message)
        elif meant is Keyword.HELP and not blocked:
            return self._help(tx, message)
        elif meant is None and not blocked and self._is_soft_stop(tx, message):
            opt_outs.flag(tx, message.conversation_id, message.id, message.created_at)
        return None

    def is_lifting_yes(self, tx: Connection, message: Message) -> bool:
        """Whether an inbound text is YES, by which a person ends an opt-out that is in force."""
        meant = message.opt_out or keyword(message.text)
        return meant is Keyword.YES and self._is_out(tx, message)

    def refused(self, tx: Connection, message: Message, peer: str, code: str | None) -> None:
        """Record that a carrier has refused a message because its recipient has opted out.

        ``code`` is the carrier's; other codes are ignored. Of a group ``peer`` must be known.
        """
        provider = self.providers.get(message.provider)
        if provider is None or code not in provider.opt_out_codes:
            return
        who = peer or ("" if message.participants else message.peer)
        if not who or opt_outs.is_recorded(tx, who, message.id):
            return
        detail = f"{provider.title} refused a text with code {code}."
        self.record(tx, message.number, who, Source.CARRIER, detail, message, at=clock.now(tx))

    def record(
        self,
        tx: Connection,
        number: str,
        peer: str,
        source: Source,
        detail: str,
        message: Message | None = None,
        *,
        at: float | None = None,
    ) -> bool:
        """Record an opt-out, and cancel what is queued; false if it is in force already.

        ``message`` is the proof. For which numbers of ours it counts is set by OPT_OUT_SCOPE;
        ``number`` may be ``EVERY``.
        """
        where = EVERY if self.settings.scope == "all" else number
        happened = message.created_at if message is not None else clock.now(tx)
        new = OptOut(
            number=where,
            peer=peer,
            at=at if at is not None else happened,
            source=source,
            detail=detail,
            provider=message.provider if message is not None else "",
            message_id=message.id if message is not None else None,
        )
        is_new = opt_outs.record(tx, new)
        if is_new:
            log.info("opted out", number=where, peer=peer, source=str(source))
        self._cancel_queued(tx, where, peer, new)
        return is_new

    def reason(self, tx: Connection, number: str, recipients: Iterable[str]) -> str:
        """Why a text to these recipients may not be sent from a number; empty if it may."""
        found = opt_outs.active(tx, number, recipients)
        return " ".join(self._sentence(peer, one) for peer, one in found.items())

    def check_request(self, tx: Connection, number: str, recipients: Iterable[str]) -> None:
        """Raise ``RequestRefused`` if one of these recipients has opted out of a number."""
        reason = self.refusal(opt_outs.active(tx, number, recipients))
        if reason:
            raise RequestRefused(OPTED_OUT, reason, field="to", status=403)

    def refusal(self, found: Mapping[str, OptOut]) -> str:
        """Why these people cannot be texted, and who may change that; empty without anybody."""
        who = " ".join(self._sentence(peer, one) for peer, one in found.items())
        remedy = (
            "Nobody can text them until they text START. If they have asked for texts again in "
            "another way, your administrator can record that on the page Opt-outs."
        )
        return f"{who} {remedy}" if who else ""

    def why_not(self, tx: Connection, message: Message) -> SendError | None:
        """The error if a message must not be sent now, in the transaction that begins its send.

        It locks the sequence first, as every opt-out does.
        """
        if message.automatic is not None:
            return _too_late(tx, message)
        counters.hold_sequence(tx)
        reason = self.reason(tx, message.number, message.recipients)
        return OptedOut(f"{reason} The message was not sent.") if reason else None

    def _stop(self, tx: Connection, message: Message) -> Message | None:
        word = keyword_words(message.text)
        detail = word.upper() if word in STOP_WORDS else f"as {message.provider} says"
        if not self.record(tx, message.number, message.peer, Source.KEYWORD, detail, message):
            return None
        if self._carrier_answers_stop(message) or _is_late(tx, message):
            return None
        return self._answer(message, AutomaticText.CONFIRMATION, self.settings.confirmation)

    def _carrier_answers_stop(self, message: Message) -> bool:
        if message.opt_out is not None or is_toll_free(message.number):
            return True
        provider = self.providers.get(message.provider)
        # Carriers compare the whole text: one with the signature of a phone is none of their words.
        return provider is None or normalised(message.text) in provider.handles_stop

    def _start(self, tx: Connection, message: Message) -> None:
        lifted = opt_outs.lift(
            tx,
            message.number,
            message.peer,
            at=message.created_at,
            by=THEIR_WORD,
            reason=f"They texted {keyword_words(message.text).upper() or 'START'}.",
        )
        if lifted:
            log.info("opt-out lifted", number=message.number, peer=message.peer)

    def _help(self, tx: Connection, message: Message) -> Message | None:
        provider = self.providers.get(message.provider)
        if message.opt_out is not None or provider is None or provider.handles_help:
            return None
        answer = self._answer(message, AutomaticText.HELP, self.settings.help)
        quota = Quota(f"help:{message.peer}", HELP_ANSWERS, HOUR)
        if answer is None or quotas.used_up(tx, [quota]) is not None:
            return None
        quotas.take(tx, [quota])
        return answer

    def _answer(self, message: Message, which: AutomaticText, words: str) -> Message | None:
        """An answer to a text, by the number that it came to; ``None`` where none can be sent."""
        provider = self.providers.get(message.provider)
        if provider is None or not is_dialable(message.peer) or not is_dialable(message.number):
            return None
        if channel_of(message.peer) not in provider.limits.channels:
            return None
        try:
            self.limits.check_countries([message.peer])
        except RequestRefused:
            return None
        contact = self.settings.contact or message.number
        for name, value in (("name", self.name), ("contact", contact), ("number", message.number)):
            words = words.replace(f"{{{name}}}", value)
        return Message(
            direction="out",
            number=message.number,
            peer=message.peer,
            text=words,
            provider=message.provider,
            status=Status.QUEUED,
            segments=count(words).count,
            automatic=which,
            created_at=message.created_at,
        )

    def _is_soft_stop(self, tx: Connection, message: Message) -> bool:
        return is_soft_stop(message.text) and not self._is_out(tx, message)

    def _is_out(self, tx: Connection, message: Message) -> bool:
        return bool(opt_outs.active(tx, message.number, [message.peer]))

    def _cancel_queued(self, tx: Connection, number: str, peer: str, found: OptOut) -> None:
        """Give up what waits to be sent to a person, and remove the marks of the conversations.

        What is scheduled is cancelled.
        """
        theirs = opt_outs.conversations_with(tx, number, peer)
        if not theirs:
            return
        opt_outs.unflag(tx, theirs)
        reason = f"{self._sentence(peer, found)} The message was not sent."
        error = OptedOut(reason)
        for job in jobs.cancel_sends(tx, [f"send:{each}" for each in theirs], reason):
            attempts.add(tx, job, error.kind, reason, OPTED_OUT)
            if statuses.advance(tx, job.message_id, Status.FAILED, code=OPTED_OUT, reason=reason):
                cancelled = messages.by_id(tx, job.message_id)
                if cancelled is not None:
                    jobs.add(tx, self.router.update_jobs(cancelled, str(cancelled.status)))
        waiting = scheduled.in_conversations(tx, theirs)
        cancel_scheduled(tx, self.router, waiting, OPTED_OUT, reason)

    def _sentence(self, peer: str, found: OptOut) -> str:
        day = self.local_time.of(found.at).date().isoformat()
        where = "all numbers" if found.number == EVERY else found.number
        return f"{peer} has opted out of texts from {where} ({SOURCES[found.source]}, {day})."


def send_job(message: Message, about: str = "") -> Job:
    """The job that sends a stored message; see ``BY_A_PERSON``."""
    return Job(
        JobKind.SEND,
        message.id,
        f"send:{message.provider}",
        about=about,
        lane=f"send:{message.conversation_id}",
    )


def add_answer(tx: Connection, answer: Message) -> Job:
    """Store an automatic answer; returns the job that sends it."""
    return send_job(messages.add_outbound(tx, answer, ""))


def is_blocked(tx: Connection, message: Message) -> bool:
    """Whether the sender of an inbound text is blocked for the number that it came to."""
    return blocked_senders.blocks(tx, message.number, message.peer)


def _is_late(tx: Connection, message: Message) -> bool:
    """Whether STOP, or the confirmation with its time, is too long ago to be confirmed."""
    return clock.now(tx) - message.created_at > CONFIRM_SECONDS


def _too_late(tx: Connection, message: Message) -> SendError | None:
    if message.automatic is not AutomaticText.CONFIRMATION or not _is_late(tx, message):
        return None
    return SendError(
        "An opt-out is confirmed within five minutes or not at all. The opt-out counts.",
        Kind.REFUSED,
        code="too_late",
    )


SOURCES = {
    Source.KEYWORD: "by STOP",
    Source.CARRIER: "as the carrier says",
    Source.PERSON: "recorded in the app",
    Source.OPERATOR: "recorded by the administrator",
    Source.IMPORT: "imported",
    Source.SCAN: "by an earlier STOP",
}

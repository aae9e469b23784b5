"""Trying rules: what they would do with a text, and why those above did not match."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from services.core.errors import NumberError, RequestRefused, SettingsError
from services.core.local_time import FIRST_YEAR, LAST_YEAR, LocalTime
from services.core.messages import Message
from services.core.phone_numbers import known_as
from services.core.recipient_hours import Wait
from services.message_settings import MessageSettings, NumberSetting
from services.message_settings.rules import Decision, InboundRule, InboundText
from services.messaging.automatic_answers import AutomaticAnswers
from services.messaging.opt_out import OPTED_OUT, OptOuts
from services.store import blocked_senders
from services.store.database.store import Store

BLOCKED = "The sender is blocked for this number: the text is kept apart, and nobody is notified."


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that was compared; ``why_not`` is empty if it matches."""

    rule: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What rules would do with a text.

    ``remark`` says why no rule is asked, or that the number's entry decides. ``reply`` is the
    answer, empty for none; ``why_no_reply`` says why it would not be sent, with the opt-outs, the
    blocked senders and the answers of now, and ``reply_waits`` until when it would wait.
    """

    text: InboundText
    local_time: str
    steps: Sequence[Step]
    decision: Decision
    remark: str
    reply: str
    why_no_reply: str
    reply_waits: Wait | None


class RuleTrial:
    """Tries the rules in force."""

    def __init__(
        self,
        store: Store,
        settings: MessageSettings,
        automatic: AutomaticAnswers,
        opt_outs: OptOuts,
        country: str,
        local_time: LocalTime,
    ) -> None:
        self._store = store
        self._settings = settings
        self._automatic = automatic
        self._opt_outs = opt_outs
        self._country = country
        self._local_time = local_time

    def run(self, *, written_sender: str, to: str, text: str, at: str = "") -> Trial:
        """Try a text to a number of ours.

        ``at`` is a local time in ``APP_TIMEZONE`` such as ``2026-12-24 22:00``, or one with its own
        offset; empty: now. Raises ``SettingsError`` that names ``at``, ``to`` or ``from``.
        """
        moment = self._moment(at)
        if not written_sender.strip():
            raise SettingsError("Say from whom the text comes.", "from")
        alias = self._settings.for_alias(to)
        number = alias.number if alias is not None else self._number(to)
        peer = self._sender(written_sender)
        tried = InboundText(number, peer, text, moment.timestamp())
        setting = self._settings.for_number(number)
        decision = self._settings.rules.decide(setting, tried)
        is_blocked, why_no_reply, waits = self._store.read(
            lambda tx: self._outlook(tx, tried, decision.answer)
        )
        return Trial(
            tried,
            f"{moment:%Y-%m-%d %H:%M} {moment.tzinfo}",
            self._steps(tried, decision) if setting is not None and setting.enabled else (),
            Decision(rules=decision.rules) if is_blocked else decision,
            BLOCKED if is_blocked else _remark(setting, decision),
            decision.answer.reply if decision.answer is not None else "",
            why_no_reply,
            waits,
        )

    def _outlook(
        self, tx: Connection, tried: InboundText, answer: InboundRule | None
    ) -> tuple[bool, str, Wait | None]:
        """Whether the sender is blocked, why there is no reply, and until when one waits."""
        is_blocked = blocked_senders.blocks(tx, tried.number, tried.peer)
        if answer is None:
            return is_blocked, "", None
        if is_blocked:
            return True, "The sender is blocked.", None
        message = Message(direction="in", number=tried.number, peer=tried.peer, text=tried.text)
        try:
            wait = self._automatic.outlook(tx, message, answer, tried.at)
        except RequestRefused as refused:
            # YES ends the opt-out before the rules answer it.
            is_lifted = refused.code == OPTED_OUT and self._opt_outs.is_lifting_yes(tx, message)
            return False, "" if is_lifted else refused.reason, None
        return False, "", wait if wait.reason else None

    def _steps(self, tried: InboundText, decision: Decision) -> list[Step]:
        rules = self._settings.rules
        last = decision.rules[-1] if decision.rules and not decision.rules[-1].continues else None
        steps = []
        for rule in rules.inbound:
            steps.append(Step(rule.name, rules.mismatch(rule, tried)))
            if rule is last:
                break
        return steps

    def _moment(self, at: str) -> datetime:
        if not at.strip():
            return datetime.now(self._local_time.zone)
        try:
            return self._local_time.read(at)
        except ValueError:
            raise SettingsError(
                f"“{at[:40]}” is no time. Write it such as 2026-12-24 22:00, from {FIRST_YEAR} to "
                f"{LAST_YEAR}.",
                "at",
            ) from None

    def _sender(self, written: str) -> str:
        try:
            return known_as(written, self._country)
        except NumberError as error:
            raise SettingsError(str(error), "from") from None

    def _number(self, to: str) -> str:
        try:
            return self._settings.number(to)
        except SettingsError as error:
            raise SettingsError(error.reason, "to") from None


def _remark(setting: NumberSetting | None, decision: Decision) -> str:
    if setting is None:
        return "The number is not in Message Settings: no rule is asked, and nobody gets the text."
    if not setting.enabled:
        return "The number is switched off: no rule is asked, and nobody gets the text."
    if not decision.reaches_somebody:
        return "No rule delivers it, and the number has no extension or address: it is unassigned."
    if not decision.rules:
        return "No rule matches: the number's own extensions and addresses get the text."
    last = decision.rules[-1]
    if last.continues or not last.delivers:
        return "The number's own extensions and addresses get the text."
    return ""

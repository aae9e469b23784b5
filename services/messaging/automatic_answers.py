"""Automatic answers of rules, with the guards against robots that answer each other.

An answer is stored and queued as any other text; it has no extension, and the name of its rule. So
no person appears to have answered.
"""

import time
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from services.core.errors import RequestRefused
from services.core.keywords import Keyword, keyword
from services.core.messages import Message, Status, derived_uuid7
from services.core.phone_numbers import is_dialable, without_channel
from services.core.reactions import parse_reaction
from services.core.recipient_hours import Wait
from services.message_settings import MessageSettings
from services.message_settings.rules import InboundRule
from services.messaging.compose import Composer
from services.store import automatic_answers
from services.store.database import clock

log = structlog.get_logger()
WITHIN_SECONDS = 3600.0  # after the text came in; later an answer would surprise


class _NotAnswered(RequestRefused):
    """A text is not answered, as a guard against robots says; the usual case is not logged."""


@dataclass(eq=False)
class AutomaticAnswers:
    """Answers texts as rules say."""

    settings: MessageSettings
    composer: Composer

    def answer(self, tx: Connection, message: Message, rule: InboundRule) -> Message | None:
        """Queue the reply of a rule to a stored text; ``None`` where it must not be answered."""
        now = clock.now(tx)
        try:
            answer = self._checked(tx, message, rule, now)
            queued = self.composer.queue_automatic(tx, answer)
        except _NotAnswered:
            return None
        except RequestRefused as refused:
            log.warning(
                "no automatic answer", rule=rule.name, message_id=message.id, reason=str(refused)
            )
            return None
        automatic_answers.note(tx, rule.name, message.number, message.peer, now)
        return queued

    def outlook(self, tx: Connection, message: Message, rule: InboundRule, at: float) -> Wait:
        """When a text that came in ``at`` would be answered, by the checks of ``answer``.

        Raises ``RequestRefused`` with the reason where it would not be answered.
        """
        answer = self._checked(tx, message, rule, at)
        return self.composer.times.answer_wait(answer.recipients, at) or Wait(at, "")

    def _checked(self, tx: Connection, message: Message, rule: InboundRule, now: float) -> Message:
        """The answer to a text, not stored yet. Raises ``RequestRefused``."""
        setting = self.settings.for_number(message.number)
        why = self._never(message) or _too_often(tx, message, rule, now)
        if setting is None or why:
            raise _NotAnswered("not_answered", why)
        answer = Message(
            direction="out",
            number=setting.number,
            peer=message.peer,
            text=rule.reply,
            status=Status.QUEUED,
            id=derived_uuid7(message.created_at, message.id, rule.name),
            rule=rule.name,
        )
        return self.composer.checks.checked(tx, setting, answer)

    def _never(self, message: Message) -> str:
        """Why a text is never answered automatically, as a sentence; empty where it may be."""
        peer = message.peer
        asks_for = message.opt_out or keyword(message.text)
        reasons = (
            (bool(message.participants), "It is in a group."),
            (parse_reaction(message.text) is not None, "It is a reaction."),
            # YES ends an opt-out, but mostly it answers a question.
            (
                asks_for not in (None, Keyword.YES),
                "It is STOP, START, HELP or a word like them.",
            ),
            (
                not is_dialable(peer) or not without_channel(peer).startswith("+"),
                "The sender is a short code or a name.",
            ),
            (
                self.settings.for_number(peer) is not None,
                "The sender is a number of this installation.",
            ),
            (
                time.time() - message.created_at > WITHIN_SECONDS,
                "It came in more than an hour ago.",
            ),
        )
        return next((why for holds, why in reasons if holds), "")


def _too_often(tx: Connection, message: Message, rule: InboundRule, now: float) -> str:
    """Why a rule has answered a person often enough, as a sentence; empty where it may again."""
    hours = rule.reply_once_hours
    since = now - hours * 3600.0
    if automatic_answers.has_answered(tx, rule.name, message.number, message.peer, since):
        return f"The rule has answered this sender within {hours:g} hours (reply_once_hours)."
    if automatic_answers.last_hour(tx, message.peer, now) >= automatic_answers.MOST_AN_HOUR:
        return f"This sender got {automatic_answers.MOST_AN_HOUR} automatic answers within an hour."
    return ""

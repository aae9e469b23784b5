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
from services.core.messages import Message, derived_uuid7
from services.core.phone_numbers import is_dialable, without_channel
from services.core.reactions import parse_reaction
from services.core.recipient_hours import Postponed
from services.message_settings import MessageSettings
from services.message_settings.rules import InboundRule
from services.messaging.compose import Composer
from services.store import automatic_answers
from services.store.database import clock

log = structlog.get_logger()
WITHIN_SECONDS = 3600.0  # after the text came in; later an answer would surprise


@dataclass(eq=False)
class AutomaticAnswers:
    """Answers texts as rules say."""

    settings: MessageSettings
    composer: Composer

    def answer(self, tx: Connection, message: Message, rule: InboundRule) -> Message | None:
        """Queue the reply of a rule to a stored text; ``None`` where it must not be answered."""
        setting = self.settings.for_number(message.number)
        if setting is None or self.why_not(message):
            return None
        now = clock.now(tx)
        once = rule.reply_once_hours * 3600.0
        if not automatic_answers.may_answer(
            tx, rule.name, message.number, message.peer, once_seconds=once, now=now
        ):
            return None
        try:
            answer = self.composer.queue_automatic(
                tx,
                setting,
                message.peer,
                rule.reply,
                rule=rule.name,
                message_id=derived_uuid7(message.created_at, message.id, rule.name),
            )
        except RequestRefused as refused:
            log.warning(
                "no automatic answer", rule=rule.name, message_id=message.id, reason=str(refused)
            )
            return None
        automatic_answers.note(tx, rule.name, message.number, message.peer, now)
        return answer

    def waits(self, peer: str, at: float) -> Postponed | None:
        """Until when an answer to a person that is due ``at`` waits; ``None``: it is sent at once.

        Raises ``RequestRefused`` where there is no such time.
        """
        return self.composer.times.answer_waits((peer,), at)

    def why_not(self, message: Message) -> str:
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

"""What is known of a conversation's consent: who opted out, who seems to want to, who is blocked.

And what a person does about it: opting somebody out, or keeping a sender's texts apart.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from services.core.errors import RequestRefused
from services.core.phone_numbers import EVERY
from services.messaging.opt_out import OptOuts
from services.store import blocked_senders, messages, opt_outs
from services.store.conversations import Conversation
from services.store.opt_outs import OptOut, Source

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConversationConsent:
    """Of one conversation: the opt-outs by peer, ``reason`` in words, and the rest.

    ``reason`` is empty where the conversation may be answered. ``suggested`` is the peer who seems
    to want no more texts, and ``blocked`` whether it is with a blocked sender alone.
    """

    opted_out: dict[str, OptOut]
    reason: str
    suggested: str | None
    blocked: bool


class Consent:
    """Reads and changes the consent of conversations. Each function runs in a transaction."""

    def __init__(self, opt_outs: OptOuts) -> None:
        self._opt_outs = opt_outs

    def of(self, tx: Connection, conversation: Conversation) -> ConversationConsent:
        """What is known of a conversation."""
        peers = conversation.participants or (conversation.peer,)
        found = opt_outs.active(tx, conversation.number, peers)
        alone = not conversation.participants
        return ConversationConsent(
            opted_out=found,
            reason=self._opt_outs.refusal(found),
            suggested=self._suggested(tx, conversation),
            blocked=alone and blocked_senders.blocks(tx, conversation.number, conversation.peer),
        )

    def opt_out(
        self, tx: Connection, conversation: Conversation, peer: str | None, extension: str
    ) -> None:
        """Record that a person of a conversation wants no more texts, as a user of the app says.

        Without ``peer`` it is the one who seems to want that, or the only one. Raises
        ``RequestRefused``.
        """
        who = peer or self._suggested(tx, conversation)
        if who is None and not conversation.participants:
            who = conversation.peer
        if who not in (conversation.participants or (conversation.peer,)):
            reason = "Say who of this conversation it is."
            raise RequestRefused("unknown_peer", reason, field="peer")
        marked = opt_outs.flagged(tx, [conversation.id]).get(conversation.id)
        message = messages.by_id(tx, marked) if marked is not None else None
        proof = message if message is not None and message.peer == who else None
        detail = f"Extension {extension}, in the app."
        self._opt_outs.record(tx, conversation.number, who, Source.PERSON, detail, proof)
        self.dismiss(tx, conversation)

    def dismiss(self, tx: Connection, conversation: Conversation) -> None:
        """A person has looked: the peer does not want to opt out."""
        opt_outs.unflag(tx, [conversation.id])

    def block(self, tx: Connection, conversation: Conversation, by: str, *, every: bool) -> None:
        """Keep the texts of a conversation's sender apart, for its number or for all numbers.

        Raises ``RequestRefused`` for a group.
        """
        if conversation.participants:
            raise RequestRefused("group", "Only a single sender can be blocked.", status=409)
        number = EVERY if every else conversation.number
        if blocked_senders.add(tx, conversation.peer, number, by):
            log.info("sender blocked", peer=conversation.peer, number=number, by=by)

    def unblock(self, tx: Connection, conversation: Conversation, by: str) -> None:
        """End every block that keeps a conversation apart."""
        changed = messages.next_seq(tx)
        for number in (conversation.number, EVERY):
            if blocked_senders.remove(tx, conversation.peer, number, changed):
                log.info("sender no longer blocked", peer=conversation.peer, number=number, by=by)

    def _suggested(self, tx: Connection, conversation: Conversation) -> str | None:
        marked = opt_outs.flagged(tx, [conversation.id]).get(conversation.id)
        message = messages.by_id(tx, marked) if marked is not None else None
        return message.peer if message is not None else None

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
    ``blocked_peers`` are those whose texts notify nobody, also in a group.
    """

    opted_out: dict[str, OptOut]
    reason: str
    suggested: str | None
    blocked: bool
    blocked_peers: tuple[str, ...] = ()


class Consent:
    """Reads and changes the consent of conversations. Each function runs in a transaction."""

    def __init__(self, opt_outs: OptOuts) -> None:
        self._opt_outs = opt_outs

    def of(self, tx: Connection, conversation: Conversation) -> ConversationConsent:
        """What is known of a conversation."""
        peers = conversation.participants or (conversation.peer,)
        found = opt_outs.active(tx, conversation.number, peers)
        blocks = blocked_senders.of(tx, conversation.number, peers)
        return ConversationConsent(
            opted_out=found,
            reason=self._opt_outs.refusal(found),
            suggested=self._suggested(tx, conversation),
            blocked=bool(blocks) and not conversation.participants,
            blocked_peers=tuple(peer for peer in peers if peer in blocks),
        )

    def opt_out(
        self, tx: Connection, conversation: Conversation, peer: str | None, extension: str
    ) -> None:
        """Record that a person of a conversation wants no more texts, as a user of the app says.

        Without ``peer`` it is the one who seems to want that, or the only one. Raises
        ``RequestRefused``.
        """
        who = _member(conversation, peer or self._suggested(tx, conversation))
        marked = opt_outs.flagged(tx, [conversation.id]).get(conversation.id)
        message = messages.by_id(tx, marked) if marked is not None else None
        proof = message if message is not None and message.peer == who else None
        detail = f"Extension {extension}, in the app."
        self._opt_outs.record(tx, conversation.number, who, Source.PERSON, detail, proof)

    def dismiss(self, tx: Connection, conversation: Conversation) -> None:
        """A person has looked: the peer does not want to opt out."""
        opt_outs.unflag(tx, [conversation.id])

    def block(
        self, tx: Connection, conversation: Conversation, peer: str | None, by: str, *, every: bool
    ) -> None:
        """Keep the texts of a sender apart, for the conversation's number or for all numbers.

        Of a group ``peer`` says who it is: nobody is notified of what this member writes there.
        Raises ``RequestRefused``.
        """
        who = _member(conversation, peer)
        number = EVERY if every else conversation.number
        if blocked_senders.add(tx, who, number, by):
            log.info("sender blocked", peer=who, number=number, by=by)

    def unblock(
        self, tx: Connection, conversation: Conversation, peer: str | None, by: str
    ) -> None:
        """End every block of a sender that counts for the conversation's number."""
        who = _member(conversation, peer)
        changed = messages.next_seq(tx)
        for number in (conversation.number, EVERY):
            if blocked_senders.remove(tx, who, number, changed):
                log.info("sender no longer blocked", peer=who, number=number, by=by)

    def _suggested(self, tx: Connection, conversation: Conversation) -> str | None:
        marked = opt_outs.flagged(tx, [conversation.id]).get(conversation.id)
        message = messages.by_id(tx, marked) if marked is not None else None
        return message.peer if message is not None else None


def _member(conversation: Conversation, peer: str | None) -> str:
    """The one of a conversation that is meant; a group has several. Raises ``RequestRefused``."""
    who = conversation.peer if peer is None and not conversation.participants else peer
    if who is None or who not in (conversation.participants or (conversation.peer,)):
        reason = "Say who of this conversation it is."
        raise RequestRefused("unknown_peer", reason, field="peer")
    return who

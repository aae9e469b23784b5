"""Table of blocked senders: whose texts to which number of ours are kept apart.

A conversation with a blocked sender alone is in no list unless it is asked for. Nothing is deleted:
with the block's end it is there again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)

from services.core.phone_numbers import EVERY
from services.store import counters
from services.store.database import clock
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import blocked_senders, conversations, messages
from services.store.database.upsert import insert_new


@dataclass(frozen=True, slots=True)
class BlockedSender:
    """One block; ``number`` is ours or ``EVERY``, ``at`` is in seconds since 1970."""

    peer: str
    number: str
    at: float
    blocked_by: str


_BLOCKS = CompiledStatement(
    lambda _: select(blocked_senders.c.peer).where(
        blocked_senders.c.peer == bindparam("peer_is"),
        blocked_senders.c.number.in_([bindparam("number_is"), EVERY]),
    )
)
_ANY = CompiledStatement(lambda _: select(blocked_senders.c.peer).limit(1))


def add(tx: Connection, peer: str, number: str, by: str) -> bool:
    """Block a sender for a number of ours or for ``EVERY``; false if it is blocked so already."""
    counters.hold_sequence(tx)
    statement = insert_new(tx, blocked_senders, blocked_senders.c.peer)
    row = {"peer": peer, "number": number, "at": clock.now(tx), "blocked_by": by}
    return tx.execute(statement, row).first() is not None


def remove(tx: Connection, peer: str, number: str, changed: int) -> bool:
    """End a block, and mark the messages as changed, so that apps load them; false without one.

    ``changed`` is one of ``messages.next_seqs``.
    """
    this = and_(blocked_senders.c.peer == peer, blocked_senders.c.number == number)
    if not tx.execute(delete(blocked_senders).where(this)).rowcount:
        return False
    alone = and_(conversations.c.peer == peer, conversations.c.members == conversations.c.peer)
    theirs = select(conversations.c.id).where(alone)
    if number != EVERY:
        theirs = theirs.where(conversations.c.number == number)
    tx.execute(
        update(messages).where(messages.c.conversation_id.in_(theirs)).values(changed=changed)
    )
    return True


def blocks(tx: Connection, number: str, peer: str) -> bool:
    """Whether a sender is blocked for a number of ours."""
    return _BLOCKS.row(tx, peer_is=peer, number_is=number) is not None


def blocked_among(tx: Connection, senders: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these (number of ours, sender) where the sender is blocked for the number."""
    if not senders or _ANY.row(tx) is None:
        return set()
    return {(number, peer) for number, peer in senders if blocks(tx, number, peer)}


def of(tx: Connection, number: str, peers: Sequence[str]) -> dict[str, list[BlockedSender]]:
    """The blocks that apply to these senders at a number of ours."""
    statement = select(blocked_senders).where(
        blocked_senders.c.peer.in_(peers), blocked_senders.c.number.in_([number, EVERY])
    )
    found: dict[str, list[BlockedSender]] = {}
    for row in tx.execute(statement):
        block = BlockedSender(row.peer, row.number, row.at, row.blocked_by)
        found.setdefault(block.peer, []).append(block)
    return found


def hidden(tx: Connection, conversation_ids: Sequence[str]) -> set[str]:
    """Those of these conversations that are with a blocked sender alone."""
    statement = select(conversations.c.id).where(
        conversations.c.id.in_(conversation_ids), hides_conversation()
    )
    return {str(conversation_id) for (conversation_id,) in tx.execute(statement)}


def conversations_of(tx: Connection) -> list[str]:
    """The ids of all conversations with a blocked sender alone; without a block none is read."""
    if tx.execute(select(blocked_senders.c.peer).limit(1)).first() is None:
        return []
    peers = select(blocked_senders.c.peer)
    statement = select(conversations.c.id).where(
        conversations.c.peer.in_(peers), hides_conversation()
    )
    return [str(conversation_id) for (conversation_id,) in tx.execute(statement)]


def every(tx: Connection) -> list[BlockedSender]:
    """All blocks, newest first."""
    statement = select(blocked_senders).order_by(blocked_senders.c.at.desc())
    return [
        BlockedSender(row.peer, row.number, row.at, row.blocked_by) for row in tx.execute(statement)
    ]


def forget(tx: Connection, peer: str) -> None:
    """Delete all blocks of a person."""
    tx.execute(delete(blocked_senders).where(blocked_senders.c.peer == peer))


def hides_conversation() -> ColumnElement[bool]:
    """SQL: the conversation of the statement is with a blocked sender alone."""
    return exists().where(
        blocked_senders.c.peer == conversations.c.members,
        or_(blocked_senders.c.number == conversations.c.number, blocked_senders.c.number == EVERY),
    )


def hides_message() -> ColumnElement[bool]:
    """SQL: the message of the statement is of a conversation with a blocked sender alone."""
    return exists().where(
        blocked_senders.c.peer == messages.c.peer,
        or_(blocked_senders.c.number == messages.c.number, blocked_senders.c.number == EVERY),
        messages.c.conversation_id.in_(
            select(conversations.c.id).where(conversations.c.members == conversations.c.peer)
        ),
    )

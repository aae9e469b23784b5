"""Table of conversations, each between one of our numbers and a peer or a group of peers."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    tuple_,
    update,
)

from services.core.messages import Message, derived_uuid7
from services.store import blocked_senders
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import RELEASED, conversations, messages, reads
from services.store.database.upsert import insert

MEMBERS_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation; ``last_seq`` is the ``seq`` of its newest message."""

    id: str
    number: str
    peer: str
    participants: tuple[str, ...]
    last_seq: int
    updated_at: float


_FIND = CompiledStatement(
    lambda _: select(conversations.c.id, conversations.c.last_seq).where(
        conversations.c.number == bindparam("number"),
        conversations.c.members == bindparam("members"),
    )
)


def _add(tx: Connection) -> Any:
    statement = insert(tx, conversations)
    newest = {name: statement.excluded[name] for name in ("last_seq", "updated_at")}
    return statement.on_conflict_do_update(
        index_elements=["number", "members"], set_=newest
    ).returning(conversations.c.id, conversations.c.number, conversations.c.members)


_ADD = CompiledStatement(_add)


def add_messages(tx: Connection, new: Sequence[Message]) -> list[str]:
    """Make each message the newest of its conversation, which is created for its first message.

    The messages are in the order of their ``seq``. Returns the id of the conversation of each. See
    ``withdraw`` for a message that turns out to be a repeat.
    """
    keys = [(message.number, members_key(message.recipients)) for message in new]
    newest = dict(zip(keys, new, strict=True))
    rows = [
        {
            "id": derived_uuid7(message.created_at, message.id),
            "number": number,
            "peer": message.peer,
            "participants": list(message.participants),
            "members": members,
            "last_seq": message.seq,
            "updated_at": message.created_at,
        }
        for (number, members), message in newest.items()
    ]
    ids = {(row.number, row.members): str(row.id) for row in _ADD.insert(tx, rows)}
    return [ids[key] for key in keys]


def id_for_message(tx: Connection, message: Message) -> str:
    """The id of a message's conversation, which is created if there is none; nothing else changes.

    A new one has the message as its newest, as it has no other.
    """
    row = _FIND.row(tx, number=message.number, members=members_key(message.recipients))
    return str(row.id) if row is not None else add_messages(tx, [message])[0]


def renumber(tx: Connection, conversation_id: str, old: int, new: int) -> None:
    """A message of a conversation has another ``seq``; it may be its newest."""
    this = and_(conversations.c.id == conversation_id, conversations.c.last_seq == old)
    tx.execute(update(conversations).where(this).values(last_seq=new))


def withdraw(tx: Connection, conversation_id: str) -> None:
    """Undo ``add_messages`` for a message that was not stored."""
    for empty in renew_newest(tx, [conversation_id]):
        tx.execute(delete(conversations).where(conversations.c.id == empty))


def renew_newest(tx: Connection, conversation_ids: Sequence[str]) -> list[str]:
    """Set the newest message of conversations again; returns the ids of those that have none.

    It is the newest that has been sent or received, else the newest that is scheduled or cancelled.
    """
    these = conversations.c.id.in_(conversation_ids)
    theirs = messages.c.conversation_id == conversations.c.id
    newest = select(func.max(messages.c.seq)).where(theirs)
    last_seq = func.coalesce(
        newest.where(RELEASED).scalar_subquery(), newest.scalar_subquery(), conversations.c.last_seq
    )
    tx.execute(
        update(conversations)
        .where(these, conversations.c.last_seq != last_seq)
        .values(last_seq=last_seq)
    )
    created = select(messages.c.created_at).where(messages.c.seq == conversations.c.last_seq)
    tx.execute(
        update(conversations)
        .where(these, exists().where(theirs))
        .values(updated_at=created.scalar_subquery())
    )
    empty = select(conversations.c.id).where(these, ~exists().where(theirs))
    return [str(conversation_id) for (conversation_id,) in tx.execute(empty)]


def members_key(recipients: Iterable[str]) -> str:
    """The ``members`` of a conversation with these peers, see ``member_key``.

    PostgreSQL's index takes 2,704 bytes. Of a longer list only the first members stand in it, and a
    digest that tells it from others.
    """
    members = sorted(map(member_key, recipients))
    key = " ".join(members)
    if len(key.encode()) <= MEMBERS_BYTES:
        return key
    shortened = key.encode()[:MEMBERS_BYTES].decode(errors="ignore").rpartition(" ")[0]
    return f"{shortened} …{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def member_key(peer: str) -> str:
    """A peer as it stands among ``members``: no-break spaces keep a name apart from a group."""
    return peer.replace(" ", "\u00a0")


def by_id(tx: Connection, conversation_id: str, numbers: Iterable[str]) -> Conversation | None:
    """One conversation, if it belongs to one of these numbers."""
    row = tx.execute(
        select(conversations).where(
            conversations.c.id == conversation_id, conversations.c.number.in_(list(numbers))
        )
    ).one_or_none()
    return _conversation(row) if row is not None else None


def number_of(tx: Connection, conversation_id: str) -> str | None:
    """Our number in a conversation, if there is such a conversation."""
    statement = select(conversations.c.number).where(conversations.c.id == conversation_id)
    return tx.execute(statement).scalar_one_or_none()


def latest_number(tx: Connection, numbers: Iterable[str], recipients: Iterable[str]) -> str | None:
    """The number of these that has the newest conversation with exactly these peers, if any."""
    members = members_key(recipients)
    found = [(_FIND.row(tx, number=number, members=members), number) for number in numbers]
    known = [(row.last_seq, number) for row, number in found if row is not None]
    return max(known)[1] if known else None


def page(
    tx: Connection,
    numbers: Iterable[str],
    *,
    limit: int,
    before: int | None = None,
    unread_by: str | None = None,
    with_peer: Iterable[str] | None = None,
    blocked: bool = False,
    without: Sequence[str] = (),
) -> list[Conversation]:
    """Conversations of these numbers, the one with the newest message first.

    With ``unread_by`` only those in which this extension has unread messages; with ``with_peer``
    only those with a peer whose address contains one of these texts. Those with blocked senders are
    left out; with ``blocked`` there are only those. ``without`` are ids.
    """
    statement = (
        select(conversations)
        .where(conversations.c.number.in_(list(numbers)))
        .order_by(conversations.c.last_seq.desc())
        .limit(limit)
    )
    hidden = blocked_senders.conversations_of(tx)
    if blocked:
        statement = statement.where(conversations.c.id.in_(hidden))
    elif hidden:
        statement = statement.where(conversations.c.id.not_in(hidden))
    if before is not None:
        statement = statement.where(conversations.c.last_seq < before)
    if without:
        statement = statement.where(conversations.c.id.not_in(without))
    if unread_by is not None:
        statement = statement.where(
            conversations.c.last_seq > read_by(unread_by), exists().where(is_unread(unread_by))
        )
    if with_peer is not None:
        contains = [
            conversations.c.members.icontains(member_key(part), autoescape=True)
            for part in with_peer
        ]
        statement = statement.where(or_(false(), *contains))
    return [_conversation(row) for row in tx.execute(statement)]


def chosen(tx: Connection, numbers: Iterable[str], ids: Sequence[str]) -> list[Conversation]:
    """Those of some conversations that are of these numbers, ordered as by ``page``.

    Those with blocked senders are left out.
    """
    statement = select(conversations).where(
        conversations.c.id.in_(ids),
        conversations.c.number.in_(list(numbers)),
        ~blocked_senders.hides_conversation(),
    )
    rows = tx.execute(statement.order_by(conversations.c.last_seq.desc()))
    return [_conversation(row) for row in rows]


def read_by(extension: str) -> ColumnElement[int]:
    """SQL: the ``seq`` up to which an extension has read a conversation of the statement."""
    mark = (
        select(reads.c.seq)
        .where(reads.c.conversation_id == conversations.c.id, reads.c.extension == extension)
        .correlate(conversations)
    )
    return func.coalesce(mark.scalar_subquery(), 0)


def is_unread(extension: str) -> ColumnElement[bool]:
    """SQL: a message is an inbound one of the conversation that the extension has not read.

    It is written as a range of the messages' index. For an equality of ids PostgreSQL sometimes
    chooses a hash join, which reads all messages.
    """
    read = tuple_(conversations.c.id, read_by(extension))
    return and_(
        tuple_(messages.c.conversation_id, messages.c.seq) > read,
        messages.c.conversation_id <= conversations.c.id,
        messages.c.direction == "in",
    )


def mark_read(
    tx: Connection, extension: str, conversation_id: str, up_to: int, changed: int
) -> bool:
    """Move an extension's read mark forward; false if it is already there or further."""
    statement = insert(tx, reads).values(
        extension=extension, conversation_id=conversation_id, seq=up_to, changed=changed
    )
    statement = statement.on_conflict_do_update(
        index_elements=["extension", "conversation_id"],
        set_={"seq": statement.excluded.seq, "changed": statement.excluded.changed},
        where=reads.c.seq < statement.excluded.seq,
    )
    return tx.execute(statement.returning(reads.c.seq)).first() is not None


def mark_unread(tx: Connection, extension: str, conversation_id: str, changed: int) -> bool:
    """Move an extension's read mark back to before the newest inbound message.

    False if that message is unread already, or there is none.
    """
    newest = select(func.max(messages.c.seq)).where(
        messages.c.conversation_id == conversation_id, messages.c.direction == "in"
    )
    up_to = int(tx.execute(newest).scalar_one() or 0) - 1
    statement = (
        update(reads)
        .where(
            reads.c.extension == extension,
            reads.c.conversation_id == conversation_id,
            reads.c.seq > up_to,
        )
        .values(seq=up_to, changed=changed)
    )
    return up_to >= 0 and tx.execute(statement).rowcount > 0


def read_marks(tx: Connection, extension: str, conversation_ids: Iterable[str]) -> dict[str, int]:
    """The ``seq`` up to which an extension has read each conversation."""
    statement = select(reads.c.conversation_id, reads.c.seq).where(
        reads.c.extension == extension, reads.c.conversation_id.in_(list(conversation_ids))
    )
    return {str(row[0]): int(row[1]) for row in tx.execute(statement)}


def readers(tx: Connection, conversation_id: str, seq: int) -> list[str]:
    """The extensions that have read a conversation up to a message, or further."""
    statement = select(reads.c.extension).where(
        reads.c.conversation_id == conversation_id, reads.c.seq >= seq
    )
    return [str(extension) for (extension,) in tx.execute(statement.order_by(reads.c.extension))]


def read_since(
    tx: Connection, extension: str, changed: int, limit: int
) -> list[tuple[int, str, int]]:
    """Read marks that moved after a number: (change, conversation, ``seq``), oldest first."""
    statement = (
        select(reads.c.changed, reads.c.conversation_id, reads.c.seq)
        .where(reads.c.extension == extension, reads.c.changed > changed)
        .order_by(reads.c.changed)
        .limit(limit)
    )
    return [(int(row[0]), str(row[1]), int(row[2])) for row in tx.execute(statement)]


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(
        id=row.id,
        number=row.number,
        peer=row.peer,
        participants=tuple(row.participants),
        last_seq=row.last_seq,
        updated_at=row.updated_at,
    )

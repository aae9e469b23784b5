"""Table of messages: adding them once, reading pages of them, counting unread ones."""

import hashlib
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, select, update

from services.core.messages import Attachment, AutomaticText, Message, Status
from services.core.reactions import parse_reaction
from services.store import attachments, blocked_senders, conversations, deletions
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import (
    RELEASED,
    UNROUTED,
    conversation_marks,
    counters,
    messages,
    reads,
)
from services.store.database.schema import conversations as conversations_table
from services.store.database.upsert import insert_new
from services.store.reactions import with_reaction

_NEXT_SEQ = CompiledStatement(
    lambda _: (
        update(counters)
        .where(counters.c.name == "seq")
        .values(value=counters.c.value + bindparam("count"))
        .returning(counters.c.value)
    )
)
_ADD_NEW = CompiledStatement(lambda tx: insert_new(tx, messages, messages.c.seq))
_ADD = CompiledStatement(lambda _: messages.insert())
_BY_CLIENT_ID = CompiledStatement(
    lambda _: select(messages).where(
        messages.c.extension == bindparam("extension"),
        messages.c.client_id == bindparam("client_id"),
    )
)
_THIS = messages.c.id == bindparam("message_id")
_BY_ID = CompiledStatement(lambda _: select(messages).where(_THIS))
_BY_IDS = CompiledStatement(
    lambda _: select(messages).where(messages.c.id.in_(bindparam("ids", expanding=True)))
)

_READ_MARK = select(reads.c.seq).where(
    reads.c.conversation_id == bindparam("conversation_id"),
    reads.c.extension == bindparam("extension"),
)
MAX_UNREAD = 999
_UNREAD = CompiledStatement(
    lambda _: select(func.count().label("unread")).select_from(
        select(messages.c.seq)
        .where(
            messages.c.conversation_id == bindparam("conversation_id"),
            messages.c.direction == "in",
            messages.c.seq > func.coalesce(_READ_MARK.scalar_subquery(), 0),
        )
        .limit(MAX_UNREAD)
        .subquery()
    )
)

# Some carriers give their messages no ids. The same text and files within this time count as a
# repeated webhook call. If it were longer, people who write the same again would lose messages.
REPEAT_SECONDS = 120.0
_SPACES = re.compile("[ \t\n\r\f\v]+")
_REPEATS_AMONG = 50  # newest messages of the conversation that are compared


def next_seq(tx: Connection) -> int:
    """The next ``seq`` or ``changed`` of the installation; numbers become visible in order."""
    return next_seqs(tx, 1)[0]


def next_seqs(tx: Connection, count: int) -> range:
    """The next ``count`` numbers of the installation; unused ones are never given out again."""
    last = int(_NEXT_SEQ.row(tx, count=count).value)
    return range(last - count + 1, last + 1)


def latest_seq(tx: Connection) -> int:
    """The newest number of the sequence."""
    return int(tx.execute(select(counters.c.value).where(counters.c.name == "seq")).scalar_one())


def add_inbound(tx: Connection, message: Message) -> Message | None:
    """Store one inbound message, with the next ``seq`` if it has none; see ``add_all_inbound``."""
    kept = message if message.seq else replace(message, seq=next_seq(tx))
    return add_all_inbound(tx, [kept])[0]


def add_all_inbound(tx: Connection, new: Sequence[Message]) -> list[Message | None]:
    """Store inbound messages with their conversations and attachments, in the order of ``seq``.

    ``Message.seq`` is one of ``next_seqs``. For each message it returns the message with its
    ``conversation_id``, or ``None`` if it is stored already, or was deleted in an app (same
    carrier, carrier's id, number of ours, sender and words; without an id see ``REPEAT_SECONDS``).
    """
    found: list[Message | None] = []
    for looks_back, together in groupby(new, _looks_back):
        for part in ([one] for one in together) if looks_back else (list(together),):
            found += _add_inbound(tx, part)
    return found


def _looks_back(message: Message) -> bool:
    """Whether an inbound message is compared with earlier ones, which must be stored before it."""
    return message.provider_id is None or parse_reaction(message.text) is not None


def _add_inbound(tx: Connection, new: Sequence[Message]) -> list[Message | None]:
    """Store messages that are not compared with each other."""
    ids = conversations.add_messages(tx, new)
    kept = [
        with_reaction(tx, replace(message, conversation_id=conversation_id))
        for message, conversation_id in zip(new, ids, strict=True)
    ]
    rows = [_row(one) for one in kept if one.provider_id is not None or not _is_repeat(tx, one)]
    stored = _inserted(tx, rows)
    for message in kept:
        if message.seq not in stored:
            conversations.withdraw(tx, message.conversation_id)
        else:
            attachments.add(tx, message.id, message.media)
    audit_counters.add(tx, AuditCounter.RECEIVED, len(stored))
    audit_counters.add(tx, AuditCounter.REPEATED, len(kept) - len(stored))
    return [message if message.seq in stored else None for message in kept]


def insert_new_rows(tx: Connection, new: Sequence[Message]) -> set[int]:
    """Insert the rows of messages that have all they need; returns the ``seq`` of those stored.

    A message with an id that is stored, or that its carrier has given to a stored one, is left out,
    and so is an inbound one that was deleted in an app.
    """
    return _inserted(tx, [_row(one) for one in new])


def _inserted(tx: Connection, rows: Sequence[dict[str, Any]]) -> set[int]:
    deleted = deletions.offered_again(tx, map(_offer, rows))
    return {row.seq for row in _ADD_NEW.insert(tx, [r for r in rows if _offer(r) not in deleted])}


def _offer(row: dict[str, Any]) -> deletions.Offer:
    return row["provider"], row["provider_id"], row["number"], row["repeat_key"]


def repeat_key(message: Message) -> str:
    """What repeats of an inbound message have in common beside its ids: its sender and its words.

    The addresses of files are left out, because carriers sign them anew; so are differences in
    spaces, which a carrier's list and its webhook write differently. A message with the id of
    another and other words is another message.
    """
    words = _SPACES.sub(" ", message.text).strip(" ")
    return hashlib.sha256(f"{message.peer}\n{words}".encode()).hexdigest()[:16]


def _is_repeat(tx: Connection, message: Message) -> bool:
    """Whether a message without an id was just received. ``next_seq`` has locked out others."""
    statement = (
        select(messages)
        .where(messages.c.conversation_id == message.conversation_id)
        .order_by(messages.c.seq.desc())
        .limit(_REPEATS_AMONG)
    )
    return any(
        _content(old) == _content(message) and abs(_time(old) - _time(message)) < REPEAT_SECONDS
        for old in load(tx, tx.execute(statement).all())
    )


def _content(message: Message) -> tuple[object, ...]:
    files = [(file.name, file.size, file.content_type, file.source_url) for file in message.media]
    return message.direction, message.provider, message.provider_id, message.text, files


def _time(message: Message) -> float:
    return message.carrier_time or message.created_at


def add_outbound(tx: Connection, message: Message, fingerprint: str) -> Message:
    """Store a message that is sent, at once or later; its attachments are uploaded files.

    A scheduled one becomes neither the newest of its conversation nor is it counted, until it is
    released (see ``scheduled``). Raises ``IntegrityError`` if the extension has used the
    ``client_id`` before.
    """
    kept = replace(message, seq=next_seq(tx))
    if kept.status is Status.SCHEDULED:
        kept = replace(kept, conversation_id=conversations.id_for_message(tx, kept))
    else:
        kept = replace(kept, conversation_id=conversations.add_messages(tx, [kept])[0])
        audit_counters.add(tx, AuditCounter.REPLIED)
    _ADD.change(tx, **_row(kept), fingerprint=fingerprint)
    attachments.claim(tx, kept.id, [file.id for file in kept.media])
    return kept


def add_scheduled(tx: Connection, new: Sequence[Message]) -> None:
    """Store many scheduled messages without files, in few statements: other writers wait."""
    rows = []
    for seq, message in zip(next_seqs(tx, len(new)), new, strict=True):
        kept = replace(message, seq=seq)
        kept = replace(kept, conversation_id=conversations.id_for_message(tx, kept))
        rows.append(_row(kept) | {"fingerprint": ""})
    tx.execute(messages.insert(), rows)


def by_client_id(tx: Connection, extension: str, client_id: str) -> tuple[Message, str] | None:
    """The message that an extension sent with a ``client_id``, and the request's fingerprint."""
    row = _BY_CLIENT_ID.row(tx, extension=extension, client_id=client_id)
    return (load(tx, [row])[0], str(row.fingerprint)) if row is not None else None


def by_id(tx: Connection, message_id: str, numbers: Iterable[str] | None = None) -> Message | None:
    """A message; with ``numbers`` only if it belongs to one of them."""
    row = _BY_ID.row(tx, message_id=message_id)
    if row is None or (numbers is not None and row.number not in set(numbers)):
        return None
    return load(tx, [row])[0]


def by_ids(tx: Connection, message_ids: Sequence[str]) -> dict[str, Message]:
    """Messages by their ids."""
    rows = _BY_IDS.rows(tx, ids=message_ids) if message_ids else []
    return {message.id: message for message in load(tx, rows)}


def by_carrier_id(tx: Connection, provider: str, provider_id: str) -> list[Message]:
    """The messages that have an id of a carrier, newest first."""
    this = and_(messages.c.provider == provider, messages.c.provider_id == provider_id)
    return load(tx, tx.execute(select(messages).where(this).order_by(messages.c.seq.desc())).all())


def newest_sent(tx: Connection, provider: str) -> Message | None:
    """The newest message that a carrier has given an id, if there is one."""
    taken = and_(
        messages.c.direction == "out",
        messages.c.provider == provider,
        messages.c.provider_id.is_not(None),
    )
    rows = tx.execute(select(messages).where(taken).order_by(messages.c.seq.desc()).limit(1)).all()
    return next(iter(load(tx, rows)), None)


def by_seq(tx: Connection, seqs: Sequence[int]) -> dict[int, Message]:
    """Messages by their ``seq``."""
    rows = tx.execute(select(messages).where(messages.c.seq.in_(seqs))).all()
    return {message.seq: message for message in load(tx, rows)}


def page(
    tx: Connection,
    conversation_id: str,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    released: bool = False,
) -> list[Message]:
    """A page of a conversation: the newest first, or the oldest first with ``after``.

    With ``released`` without those that are scheduled, or were cancelled.
    """
    statement = select(messages).where(messages.c.conversation_id == conversation_id)
    if released:
        statement = statement.where(RELEASED)
    if after is not None:
        statement = statement.where(messages.c.seq > after).order_by(messages.c.seq)
    else:
        statement = statement.order_by(messages.c.seq.desc())
    if before is not None:
        statement = statement.where(messages.c.seq < before)
    return load(tx, tx.execute(statement.limit(limit)).all())


@dataclass(frozen=True, slots=True)
class Place:
    """The id and the ``seq`` of a message."""

    id: str
    seq: int


def places(
    tx: Connection, conversation_id: str, *, after: int, up_to: int, limit: int
) -> list[Place]:
    """The messages of a conversation after a ``seq`` and up to another, the oldest first."""
    statement = (
        select(messages.c.id, messages.c.seq)
        .where(_in_conversation(conversation_id), messages.c.seq.between(after + 1, up_to))
        .order_by(messages.c.seq)
        .limit(limit)
    )
    return [Place(row.id, int(row.seq)) for row in tx.execute(statement)]


def count_in_conversation(tx: Connection, conversation_id: str, up_to: int) -> int:
    """How many messages a conversation has up to a ``seq``."""
    these = and_(_in_conversation(conversation_id), messages.c.seq <= up_to)
    return int(tx.execute(select(func.count()).select_from(messages).where(these)).scalar_one())


def _in_conversation(conversation_id: str) -> ColumnElement[bool]:
    return messages.c.conversation_id == conversation_id


def changed_since(
    tx: Connection, numbers: Iterable[str], changed: int, limit: int
) -> list[tuple[int, Message]]:
    """Messages of these numbers with ``changed`` above a value, oldest change first.

    Those of blocked senders are left out. Each comes with its own ``changed``.
    """
    statement = (
        select(messages)
        .where(
            messages.c.number.in_(list(numbers)),
            messages.c.changed > changed,
            ~blocked_senders.hides_message(),
        )
        .order_by(messages.c.changed)
        .limit(limit)
    )
    rows = tx.execute(statement).all()
    return [(int(row.changed), message) for row, message in zip(rows, load(tx, rows), strict=True)]


def find(
    tx: Connection,
    *,
    limit: int,
    number: str | None = None,
    unrouted: bool = False,
    before: int | None = None,
) -> list[Message]:
    """Messages of one of our numbers or of all, newest first, with ``seq`` below ``before``."""
    statement = select(messages).order_by(messages.c.seq.desc()).limit(limit)
    if number is not None:
        statement = statement.where(messages.c.number == number)
    if unrouted:
        statement = statement.where(UNROUTED)
    if before is not None:
        statement = statement.where(messages.c.seq < before)
    return load(tx, tx.execute(statement).all())


def has_received(tx: Connection) -> bool:
    """Whether a text has come in here; those of an imported history do not count.

    Only theirs have the carrier's time, to the last digit, as the time at which they came.
    """
    came = messages.c.carrier_time.is_distinct_from(messages.c.created_at)
    found = select(messages.c.seq).where(messages.c.direction == "in", came)
    return tx.scalar(found.order_by(messages.c.seq.desc()).limit(1)) is not None


def touch(tx: Connection, message_id: str) -> None:
    """Mark a message as changed, so that the apps load it again."""
    tx.execute(
        update(messages)
        .where(messages.c.id == message_id)
        .values(changed=next_seq(tx), updated_at=time.time())
    )


def unread(tx: Connection, extension: str, conversation_ids: Sequence[str]) -> dict[str, int]:
    """Number of unread inbound messages of an extension in each conversation, up to 999."""
    return {
        conversation_id: int(
            _UNREAD.row(tx, conversation_id=conversation_id, extension=extension).unread
        )
        for conversation_id in conversation_ids
    }


def unread_total(tx: Connection, extension: str, numbers: Iterable[str]) -> int:
    """Number of unread inbound messages of an extension in all its numbers, up to 999.

    Those of conversations that it has muted do not count.
    """
    # Conditions in the statement would need a hash join.
    hidden = [*blocked_senders.conversations_of(tx), *_muted_by(tx, extension)]
    unread = (
        select(messages.c.seq)
        .select_from(conversations_table.join(messages, conversations.is_unread(extension)))
        .where(
            conversations_table.c.number.in_(list(numbers)),
            conversations_table.c.last_seq > conversations.read_by(extension),
            *([conversations_table.c.id.not_in(hidden)] if hidden else []),
        )
        .limit(MAX_UNREAD)
    )
    return int(tx.execute(select(func.count()).select_from(unread.subquery())).scalar_one())


def _muted_by(tx: Connection, extension: str) -> Iterable[str]:
    """The ids of the conversations that an extension has muted."""
    statement = select(conversation_marks.c.conversation_id).where(
        conversation_marks.c.extension == extension, conversation_marks.c.muted
    )
    return tx.execute(statement).scalars()


def person_wrote_after(tx: Connection, message: Message) -> bool:
    """Whether an extension has sent a text in a conversation after a message of it."""
    statement = select(messages.c.id).where(
        messages.c.conversation_id == message.conversation_id,
        messages.c.seq > message.seq,
        messages.c.direction == "out",
        messages.c.extension.is_not(None),
        messages.c.status != str(Status.FAILED),
        RELEASED,
    )
    return tx.execute(statement.limit(1)).first() is not None


def note_replacement(tx: Connection, message_id: str, by: str) -> None:
    """Note by which message a refused one is replaced."""
    tx.execute(update(messages).where(messages.c.id == message_id).values(replaced_by=by))


def load(tx: Connection, rows: Sequence[Row[Any]]) -> list[Message]:
    """Messages with their attachments from rows of the messages table."""
    files = attachments.of(tx, [row.id for row in rows])
    return [_message(row, files.get(row.id, ())) for row in rows]


def _row(message: Message) -> dict[str, Any]:
    return {
        "seq": message.seq,
        "id": message.id,
        "changed": message.seq,
        "conversation_id": message.conversation_id,
        "direction": message.direction,
        "number": message.number,
        "peer": message.peer,
        "participants": list(message.participants),
        "provider": message.provider,
        "provider_id": message.provider_id,
        "repeat_key": repeat_key(message) if message.direction == "in" else None,
        "text": message.text,
        "segments": message.segments,
        "status": str(message.status),
        "error_code": message.error_code,
        "error_reason": message.error_reason,
        "extension": message.extension,
        "client_id": message.client_id,
        "routed": message.routed,
        "reaction": message.reaction,
        "reaction_to": message.reaction_to,
        "automatic": message.automatic,
        "rule": message.rule,
        "send_at": message.send_at,
        "waits_because": message.waits_because,
        "instead_of": message.instead_of,
        "bulk_send_id": message.bulk_send_id,
        "replaced_by": message.replaced_by,
        "carrier_time": message.carrier_time,
        "created_at": message.created_at,
        "updated_at": message.updated_at,
    }


def _message(row: Row[Any], media: tuple[Attachment, ...]) -> Message:
    return Message(
        direction=row.direction,
        number=row.number,
        peer=row.peer,
        text=row.text,
        media=media,
        participants=tuple(row.participants),
        provider=row.provider,
        provider_id=row.provider_id,
        status=Status(row.status),
        error_code=row.error_code,
        error_reason=row.error_reason,
        extension=row.extension,
        client_id=row.client_id,
        segments=row.segments,
        carrier_time=row.carrier_time,
        id=row.id,
        seq=row.seq,
        conversation_id=row.conversation_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        routed=row.routed,
        reaction=row.reaction,
        reaction_to=row.reaction_to,
        automatic=AutomaticText(row.automatic) if row.automatic is not None else None,
        rule=row.rule,
        send_at=row.send_at,
        waits_because=row.waits_because,
        instead_of=row.instead_of,
        bulk_send_id=row.bulk_send_id,
        replaced_by=row.replaced_by,
    )

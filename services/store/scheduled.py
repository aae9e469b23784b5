"""Scheduled messages: rows of ``messages`` that are to be sent later, changed, cancelled, released.

While it is scheduled, a message has no job. It is released by one conditional update: then it gets
a new ``seq`` and its time, so that it stands where it was sent, and enters the audit counters.

Every change locks the sequence of the installation first. So of a release, a change, a cancellation
and an opt-out one comes after the other, and the later one finds that it is not scheduled any more.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, select, update

from services.core.messages import Message, Status
from services.store import blocked_senders, conversations
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import SCHEDULED, messages
from services.store.messages import by_id, load, next_seq, next_seqs
from services.store.search import full_text

_ALONE = messages.c.bulk_send_id.is_(None)
_DUE = CompiledStatement(
    lambda _: (
        select(messages.c.seq)
        .where(SCHEDULED, _ALONE, messages.c.send_at <= bindparam("now"))
        .limit(1)
    )
)


def has_due(tx: Connection, now: float) -> bool:
    """Whether a scheduled message of no bulk send is due at ``now`` (``clock.now``)."""
    return _DUE.row(tx, now=now) is not None


def due(tx: Connection, now: float, limit: int) -> list[Message]:
    """The next scheduled messages of no bulk send that are due at ``now``, by their time."""
    statement = select(messages).where(SCHEDULED, _ALONE, messages.c.send_at <= now)
    return load(tx, tx.execute(_by_time(statement).limit(limit)).all())


def all_due(tx: Connection, now: float) -> list[Message]:
    """All scheduled messages that are due at ``now``, also those of bulk sends, by their time."""
    statement = select(messages).where(SCHEDULED, messages.c.send_at <= now)
    return load(tx, tx.execute(_by_time(statement)).all())


def every(tx: Connection) -> list[Message]:
    """All scheduled messages, by their time."""
    return load(tx, tx.execute(_by_time(select(messages).where(SCHEDULED))).all())


def page(
    tx: Connection,
    numbers: Iterable[str],
    *,
    limit: int,
    offset: int = 0,
    conversation_id: str | None = None,
) -> list[Message]:
    """Scheduled messages of these numbers by their time, of one conversation or of all."""
    statement = select(messages).where(
        SCHEDULED, messages.c.number.in_(list(numbers)), ~blocked_senders.hides_message()
    )
    if conversation_id is not None:
        statement = statement.where(messages.c.conversation_id == conversation_id)
    return load(tx, tx.execute(_by_time(statement).limit(limit).offset(offset)).all())


def in_conversations(tx: Connection, conversation_ids: Sequence[str]) -> list[Message]:
    """All scheduled messages of some conversations, by their time."""
    statement = select(messages).where(SCHEDULED, messages.c.conversation_id.in_(conversation_ids))
    return load(tx, tx.execute(_by_time(statement)).all())


def count(tx: Connection, extension: str) -> int:
    """How many messages an extension has scheduled, without those of bulk sends."""
    theirs = and_(SCHEDULED, _ALONE, messages.c.extension == extension)
    return int(tx.execute(select(func.count()).select_from(messages).where(theirs)).scalar_one())


def set_send_at(
    tx: Connection, message: Message, send_at: float, waits_because: str | None
) -> bool:
    """Give a message another time; false if it is not scheduled any more."""
    return _change(tx, message, next_seq(tx), send_at=send_at, waits_because=waits_because)


def reword(tx: Connection, message: Message, text: str, segments: int) -> bool:
    """Give a message another text; false if it is not scheduled any more.

    It gets a new ``seq``, by which the search index is brought up to date.
    """
    seq = next_seq(tx)
    full_text.forget(tx, message.seq)
    conversations.renumber(tx, message.conversation_id, message.seq, seq)
    return _change(tx, message, seq, seq=seq, text=text, segments=segments)


def cancel(tx: Connection, message: Message, code: str, reason: str) -> bool:
    """Cancel a message; false if it is not scheduled any more."""
    values = {"error_code": code, "error_reason": reason, "waits_because": None}
    return _change(tx, message, next_seq(tx), status=str(Status.CANCELLED), **values)


def cancel_many(tx: Connection, waiting: Sequence[Message], code: str, reason: str) -> None:
    """Cancel many messages in one statement; the caller has locked the sequence and read them."""
    if not waiting:
        return
    statement = update(messages).where(messages.c.id == bindparam("message_id"), SCHEDULED)
    values: dict[str, Any] = {"status": str(Status.CANCELLED), "error_code": code}
    values |= {"error_reason": reason, "waits_because": None, "updated_at": time.time()}
    statement = statement.values(changed=bindparam("next_changed"), **values)
    numbered = zip(waiting, next_seqs(tx, len(waiting)), strict=True)
    tx.execute(statement, [{"message_id": one.id, "next_changed": seq} for one, seq in numbered])


def cancel_before_removal(tx: Connection, seqs: Sequence[int]) -> None:
    """Cancel those of some messages that are scheduled, before they are deleted."""
    statement = update(messages).where(messages.c.seq.in_(seqs), SCHEDULED)
    tx.execute(statement.values(status=str(Status.CANCELLED), changed=next_seq(tx)))


def release(tx: Connection, message: Message) -> Message | None:
    """Queue a message; the caller adds its job. ``None`` if it is not scheduled any more.

    Text, segments, carrier and ``send_at`` are those of ``message``.
    """
    return _leave(
        tx,
        message,
        status=str(Status.QUEUED),
        text=message.text,
        segments=message.segments,
        provider=message.provider,
        send_at=message.send_at,
    )


def fail(tx: Connection, message: Message, code: str, reason: str) -> Message | None:
    """Give a message up at its time; ``None`` if it is not scheduled any more."""
    return _leave(tx, message, status=str(Status.FAILED), error_code=code, error_reason=reason)


def _leave(tx: Connection, message: Message, **values: Any) -> Message | None:
    """End that a message is scheduled: from now on it is one as any other."""
    seq, now = next_seq(tx), time.time()
    full_text.forget(tx, message.seq)
    if not _change(tx, message, seq, seq=seq, created_at=now, waits_because=None, **values):
        return None
    audit_counters.add(tx, AuditCounter.REPLIED)
    released = by_id(tx, message.id)
    if released is not None:
        conversations.add_messages(tx, [released])
    return released


def _change(tx: Connection, message: Message, changed: int, **values: Any) -> bool:
    """Change a message while it is scheduled; ``changed`` is the next number of the sequence."""
    statement = update(messages).where(messages.c.id == message.id, SCHEDULED)
    values |= {"changed": changed, "updated_at": time.time()}
    return bool(tx.execute(statement.values(values)).rowcount)


def _by_time(statement: Any) -> Any:
    return statement.order_by(messages.c.send_at, messages.c.seq)

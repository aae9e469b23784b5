"""Deletes messages with everything that belongs to them: jobs, receipts, turns, attachment rows.

A caller whose next run deletes the same messages again deletes the attachments' files first: if it
is interrupted between the two, no file is left without a row. Others use ``attachments.detach``.
"""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    exists,
    or_,
    select,
)

from services.core.messages import Status
from services.store import counters
from services.store.conversations import renew_newest
from services.store.database import audit_counters
from services.store.database.schema import (
    LIVE,
    assignments,
    attachments,
    conversation_marks,
    conversations,
    jobs,
    message_turns,
    messages,
    opt_out_flags,
    reads,
    receipts,
    threads,
)

BATCH = 100  # messages in one transaction: a few milliseconds, for which other writers wait


def awaits_work() -> ColumnElement[bool]:
    """SQL condition: a message has open jobs or is scheduled, so that it must stay."""
    return or_(has_open_jobs(), messages.c.status == str(Status.SCHEDULED))


def has_open_jobs() -> ColumnElement[bool]:
    """SQL condition: a message has jobs that are due or in work."""
    return exists().where(jobs.c.message_id == messages.c.id, LIVE)


def files_of(tx: Connection, message_ids: Sequence[str]) -> list[str]:
    """The ids of all files of these messages, in whatever state."""
    statement = select(attachments.c.id).where(attachments.c.message_id.in_(message_ids))
    return [str(file_id) for (file_id,) in tx.execute(statement)]


def remove(tx: Connection, message_ids: Sequence[str]) -> list[str]:
    """Delete messages, and conversations that are then empty; returns the ids of the messages.

    A message that has open jobs or is scheduled stays.
    """
    # Lock the sequence first, as every change of messages does: no message is added meanwhile.
    counters.hold_sequence(tx)
    found = tx.execute(
        select(messages.c.id, messages.c.conversation_id, messages.c.status).where(
            messages.c.id.in_(message_ids), ~awaits_work()
        )
    ).all()
    removed = [str(row.id) for row in found]
    of_these = jobs.c.message_id.in_(removed)
    states = tx.execute(delete(jobs).where(of_these).returning(jobs.c.state)).scalars().all()
    for table in (receipts, attachments, message_turns):
        tx.execute(delete(table).where(table.c.message_id.in_(removed)))
    tx.execute(delete(messages).where(messages.c.id.in_(removed)))
    counted = sum(row.status != Status.CANCELLED for row in found)
    audit_counters.removed(tx, messages=counted, jobs=states)
    _update_conversations(tx, sorted({str(row.conversation_id) for row in found}))
    return removed


def _update_conversations(tx: Connection, conversation_ids: Sequence[str]) -> None:
    """Set the newest message of conversations again, and delete the empty ones."""
    empty = renew_newest(tx, conversation_ids)
    for table in (reads, threads, opt_out_flags, assignments, conversation_marks):
        tx.execute(delete(table).where(table.c.conversation_id.in_(empty)))
    tx.execute(delete(conversations).where(conversations.c.id.in_(empty)))

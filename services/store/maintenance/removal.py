"""Deletes messages with everything that belongs to them: jobs, receipts, attachment rows.

The caller deletes the attachments' files first. If it is interrupted between the two, the next run
deletes the same messages again, and no file is left without a row.
"""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from services.core.messages import Status
from services.store import counters
from services.store.database import audit_counters
from services.store.database.schema import (
    LIVE,
    RELEASED,
    assignments,
    attachments,
    conversation_marks,
    conversations,
    jobs,
    messages,
    opt_out_flags,
    reads,
    receipts,
    threads,
)

BATCH = 100  # messages in one transaction: a few milliseconds, for which other writers wait


def awaits_work() -> ColumnElement[bool]:
    """SQL condition: a message has open jobs or is scheduled, so that it must stay."""
    has_jobs = exists().where(jobs.c.message_id == messages.c.id, LIVE)
    return or_(has_jobs, messages.c.status == str(Status.SCHEDULED))


def files_of(tx: Connection, message_ids: Sequence[str]) -> list[str]:
    """The ids of all files of these messages, in whatever state."""
    statement = select(attachments.c.id).where(attachments.c.message_id.in_(message_ids))
    return [str(file_id) for (file_id,) in tx.execute(statement)]


def remove(tx: Connection, message_ids: Sequence[str]) -> int:
    """Delete messages, and conversations that are then empty; returns the number of messages.

    A message with open jobs stays.
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
    for table in (receipts, attachments):
        tx.execute(delete(table).where(table.c.message_id.in_(removed)))
    tx.execute(delete(messages).where(messages.c.id.in_(removed)))
    counted = sum(row.status != Status.CANCELLED for row in found)
    audit_counters.removed(tx, messages=counted, jobs=states)
    _update_conversations(tx, sorted({str(row.conversation_id) for row in found}))
    return len(removed)


def _update_conversations(tx: Connection, conversation_ids: Sequence[str]) -> None:
    """Set the newest message of conversations again, and delete the empty ones."""
    theirs = messages.c.conversation_id == conversations.c.id
    released = and_(theirs, RELEASED)
    newest = select(func.max(messages.c.seq)).where(released).scalar_subquery()
    touched = conversations.c.id.in_(conversation_ids)
    tx.execute(
        update(conversations)
        .where(touched, conversations.c.last_seq > newest)
        .values(last_seq=newest)
    )
    statement = select(conversations.c.id).where(touched, ~exists().where(theirs))
    empty = [str(conversation_id) for (conversation_id,) in tx.execute(statement)]
    for table in (reads, threads, opt_out_flags, assignments, conversation_marks):
        tx.execute(delete(table).where(table.c.conversation_id.in_(empty)))
    tx.execute(delete(conversations).where(conversations.c.id.in_(empty)))

"""Messages taken out for good, with everything that belongs to them.

The files themselves are kept elsewhere and go first: what is interrupted between the two is done
again, and no file is left that nobody knows of.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from services.store.database import audit_counters
from services.store.database.schema import (
    LIVE,
    attachments,
    conversations,
    counters,
    jobs,
    messages,
    reads,
    receipts,
    threads,
)

BATCH = 100  # messages in one transaction: a few milliseconds, for which other writers wait


def awaits_work() -> ColumnElement[bool]:
    """Whether something is still to be done for a message: it is not to be removed yet."""
    return exists().where(jobs.c.message_id == messages.c.id, LIVE)


def files_of(tx: Connection, message_ids: Sequence[str]) -> list[str]:
    """The ids of every file of messages, whatever became of it."""
    statement = select(attachments.c.id).where(attachments.c.message_id.in_(message_ids))
    return [str(file_id) for (file_id,) in tx.execute(statement)]


def remove(tx: Connection, message_ids: Sequence[str]) -> int:
    """Remove messages, and conversations that are empty then; returns how many messages went.

    A message for which something is still to be done stays.
    """
    # The sequence first, as all who change messages: nobody adds to a conversation meanwhile.
    tx.execute(select(counters.c.value).where(counters.c.name == "seq").with_for_update())
    found = tx.execute(
        select(messages.c.id, messages.c.conversation_id).where(
            messages.c.id.in_(message_ids), ~awaits_work()
        )
    ).all()
    gone = [str(row.id) for row in found]
    of_these = jobs.c.message_id.in_(gone)
    states = tx.execute(delete(jobs).where(of_these).returning(jobs.c.state)).scalars().all()
    for table in (receipts, attachments):
        tx.execute(delete(table).where(table.c.message_id.in_(gone)))
    tx.execute(delete(messages).where(messages.c.id.in_(gone)))
    audit_counters.removed(tx, messages=len(gone), jobs=states)
    _tidy(tx, sorted({str(row.conversation_id) for row in found}))
    return len(gone)


def _tidy(tx: Connection, conversation_ids: Sequence[str]) -> None:
    """Let conversations know their newest message again, and remove the empty ones."""
    theirs = messages.c.conversation_id == conversations.c.id
    newest = select(func.max(messages.c.seq)).where(theirs).scalar_subquery()
    touched = conversations.c.id.in_(conversation_ids)
    tx.execute(
        update(conversations)
        .where(touched, conversations.c.last_seq > newest)
        .values(last_seq=newest)
    )
    statement = select(conversations.c.id).where(touched, ~exists().where(theirs))
    empty = [str(conversation_id) for (conversation_id,) in tx.execute(statement)]
    for table in (reads, threads):
        tx.execute(delete(table).where(table.c.conversation_id.in_(empty)))
    tx.execute(delete(conversations).where(conversations.c.id.in_(empty)))

"""Table of conversation ids in other apps, and how far each app has shown a conversation."""

from sqlalchemy import Connection, select

from services.store import conversations, messages
from services.store.database.schema import threads
from services.store.database.upsert import insert


def put(
    tx: Connection, channel: str, thread: str, extension: str, conversation_id: str, seq: int
) -> None:
    """Note the thread in which a channel shows a conversation, and up to which ``seq``."""
    statement = insert(tx, threads).values(
        channel=channel,
        thread=thread,
        extension=extension,
        conversation_id=conversation_id,
        seq=seq,
    )
    statement = statement.on_conflict_do_update(
        index_elements=["channel", "thread", "extension", "conversation_id"],
        set_={"seq": statement.excluded.seq},
        where=threads.c.seq < statement.excluded.seq,
    )
    tx.execute(statement)


def mark_read(tx: Connection, channel: str, thread: str) -> list[tuple[str, str, int]]:
    """Mark as read what a thread has shown.

    Returns the read marks that moved: extension, conversation id and ``seq``.
    """
    found = tx.execute(
        select(threads).where(threads.c.channel == channel, threads.c.thread == thread)
    ).all()
    marks = [(str(row.extension), str(row.conversation_id), int(row.seq)) for row in found]
    return [
        (extension, conversation_id, seq)
        for extension, conversation_id, seq in marks
        if conversations.mark_read(tx, extension, conversation_id, seq, messages.next_seq(tx))
    ]

"""What other apps call our conversations, and how far each has been shown there."""

from sqlalchemy import Connection, select

from services.store import conversations, messages
from services.store.database.schema import threads
from services.store.database.upsert import insert


def put(
    tx: Connection, channel: str, thread: str, extension: str, conversation_id: str, seq: int
) -> None:
    """Note that a channel shows a conversation in a thread of its own, up to a ``seq``."""
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
    """Note that what a thread has shown was read.

    Returns the read marks that moved: extension, conversation and ``seq``.
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

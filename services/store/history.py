"""Messages from another system, stored as read ones: nothing is queued, nobody is notified.

They get numbers of the sequence like new messages, and the audit counters count them like others.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy import Connection, bindparam, select

from services.core.messages import Attachment, Message
from services.core.reactions import parse_reaction
from services.store import attachments, conversations, counters, deletions, messages
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import messages as messages_table
from services.store.reactions import with_reaction

Readers = Callable[[str], Collection[str]]
"""The extensions that have a number of ours."""

_KNOWN = CompiledStatement(
    lambda _: select(messages_table.c.id).where(
        messages_table.c.id.in_(bindparam("ids", expanding=True))
    )
)
_LATER = select(messages_table.c.text).where(
    messages_table.c.number == bindparam("our_number"),
    messages_table.c.peer == bindparam("their_number"),
    messages_table.c.direction == "in",
    messages_table.c.created_at > bindparam("since"),
)


def known(tx: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these ids that messages have, or had before they were deleted in an app."""
    if not ids:
        return set()
    return {str(row.id) for row in _KNOWN.rows(tx, ids=ids)} | deletions.of_messages(tx, ids)


def texts_after(tx: Connection, number: str, peer: str, since: float) -> list[str]:
    """What a person has written to a number of ours after a time (seconds since 1970)."""
    values = {"our_number": number, "their_number": peer, "since": since}
    return [str(text) for text in tx.execute(_LATER, values).scalars()]


def add(tx: Connection, new: Sequence[Message], readers: Readers) -> int:
    """Store messages, oldest first, except those that are stored already; returns how many.

    ``id`` is the same each time, so that it can be repeated. A received message is also known by
    the id that its carrier has given it. Every extension of the number has read them, unless
    something in the conversation is unread: an unread text must not be overlooked. Apps that are
    open load their lists anew.
    """
    counters.hold_sequence(tx)
    added = 0
    for looks_back, together in groupby(new, _looks_back):
        for run in ([one] for one in together) if looks_back else (list(together),):
            added += _add(tx, run, readers)
    if added:
        counters.put(tx, counters.RESET, messages.next_seq(tx))
    return added


def keep_files(tx: Connection, files: Sequence[Attachment]) -> list[str]:
    """Note that files of stored messages were fetched; apps that are open load their lists anew.

    Returns the ids of those whose message was deleted meanwhile.
    """
    counters.hold_sequence(tx)
    gone = [file.id for file in files if attachments.by_id(tx, file.id) is None]
    for file in files:
        attachments.keep(tx, file)
    counters.put(tx, counters.RESET, messages.next_seq(tx))
    return gone


def _looks_back(message: Message) -> bool:
    """Whether a message is a reaction, for which the ones before it must be stored."""
    return message.direction == "in" and parse_reaction(message.text) is not None


def _add(tx: Connection, new: Sequence[Message], readers: Readers) -> int:
    seqs = messages.next_seqs(tx, len(new))
    numbered = [replace(message, seq=seq) for message, seq in zip(new, seqs, strict=True)]
    ids = conversations.add_messages(tx, numbered)
    placed = [
        replace(message, conversation_id=conversation_id)
        for message, conversation_id in zip(numbered, ids, strict=True)
    ]
    kept = [with_reaction(tx, one) if _looks_back(one) else one for one in placed]
    unread = {
        (one.conversation_id, extension): messages.unread(tx, extension, [one.conversation_id])
        for one in {message.conversation_id: message for message in kept}.values()
        for extension in readers(one.number)
    }
    stored = messages.insert_new_rows(tx, kept)
    newest: dict[str, int] = {}
    for message in kept:
        if message.seq not in stored:
            conversations.withdraw(tx, message.conversation_id)
            continue
        attachments.add(tx, message.id, message.media)
        newest[message.conversation_id] = message.seq
    _mark_read(tx, newest, [key for key, counts in unread.items() if not counts[key[0]]])
    received = [message for message in kept if message.direction == "in"]
    arrived = sum(message.seq in stored for message in received)
    audit_counters.add(tx, AuditCounter.ENTERED, len(received))
    audit_counters.add(tx, AuditCounter.RECEIVED, arrived)
    audit_counters.add(tx, AuditCounter.REPEATED, len(received) - arrived)
    audit_counters.add(tx, AuditCounter.REPLIED, len(stored) - arrived)
    return len(stored)


def _mark_read(tx: Connection, newest: dict[str, int], marks: Sequence[tuple[str, str]]) -> None:
    """Move the read marks of (conversation, extension) to the newest message of each."""
    marks = [(conversation_id, who) for conversation_id, who in marks if conversation_id in newest]
    for (conversation_id, who), changed in zip(
        marks, messages.next_seqs(tx, len(marks)), strict=True
    ):
        conversations.mark_read(tx, who, conversation_id, newest[conversation_id], changed)

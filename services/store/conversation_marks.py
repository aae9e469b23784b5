"""Table of conversation marks: what each extension has muted and pinned.

A conversation without a row is neither.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import conversation_marks, conversations
from services.store.database.upsert import insert
from services.store.messages import next_seq


@dataclass(frozen=True, slots=True)
class ConversationMark:
    """A conversation for one extension; ``pinned_at`` is in seconds since 1970."""

    extension: str
    conversation_id: str
    muted: bool = False
    pinned_at: float | None = None


_MUTED_IN = CompiledStatement(
    lambda _: select(conversation_marks.c.conversation_id, conversation_marks.c.extension).where(
        conversation_marks.c.conversation_id.in_(bindparam("conversation_ids", expanding=True)),
        conversation_marks.c.muted,
    )
)


def of(
    tx: Connection, extension: str, conversation_ids: Sequence[str]
) -> dict[str, ConversationMark]:
    """The marks of an extension on these conversations."""
    statement = select(conversation_marks).where(
        conversation_marks.c.extension == extension,
        conversation_marks.c.conversation_id.in_(conversation_ids),
    )
    return {row.conversation_id: _mark(row) for row in tx.execute(statement)}


def put(tx: Connection, mark: ConversationMark) -> None:
    """Keep a mark; the devices of the extension are told, because it has a new ``changed``."""
    values = asdict(mark) | {"changed": next_seq(tx)}
    statement = insert(tx, conversation_marks).values(**values)
    keys = ["extension", "conversation_id"]
    tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def pinned(tx: Connection, extension: str, numbers: Iterable[str]) -> list[str]:
    """The ids of the conversations of these numbers that an extension has pinned."""
    statement = (
        select(conversation_marks.c.conversation_id)
        .join(conversations, conversations.c.id == conversation_marks.c.conversation_id)
        .where(
            conversation_marks.c.extension == extension,
            conversation_marks.c.pinned_at.is_not(None),
            conversations.c.number.in_(list(numbers)),
        )
    )
    return [str(conversation_id) for (conversation_id,) in tx.execute(statement)]


def muted_in(tx: Connection, conversation_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """The extensions that have muted these conversations, by the ids of those that are muted."""
    found: dict[str, set[str]] = {}
    rows = _MUTED_IN.rows(tx, conversation_ids=conversation_ids) if conversation_ids else []
    for row in rows:
        found.setdefault(row.conversation_id, set()).add(row.extension)
    return {conversation_id: frozenset(muting) for conversation_id, muting in found.items()}


def changed_since(
    tx: Connection, extension: str, numbers: Iterable[str], changed: int, limit: int
) -> list[tuple[int, ConversationMark]]:
    """Marks of an extension, in conversations of these numbers, that changed after a number."""
    statement = (
        select(conversation_marks)
        .join(conversations, conversations.c.id == conversation_marks.c.conversation_id)
        .where(
            conversation_marks.c.extension == extension,
            conversation_marks.c.changed > changed,
            conversations.c.number.in_(list(numbers)),
        )
        .order_by(conversation_marks.c.changed)
        .limit(limit)
    )
    return [(int(row.changed), _mark(row)) for row in tx.execute(statement)]


def _mark(row: Row[Any]) -> ConversationMark:
    return ConversationMark(row.extension, row.conversation_id, row.muted, row.pinned_at)

"""Table of assignments: who owns a conversation, of which group, and since when it is done.

A conversation without a row has no owner and is open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import assignments, conversations, group_turns, message_turns
from services.store.database.upsert import insert
from services.store.messages import next_seq


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who owns a conversation; times are seconds since 1970, ``None`` for never."""

    conversation_id: str
    group_name: str | None = None
    owner: str | None = None
    owned_at: float | None = None
    done_at: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """An extension of a group that got a conversation in its turn; ``at``: seconds since 1970."""

    group_name: str
    extension: str
    at: float


_BY_ID = CompiledStatement(
    lambda _: select(assignments).where(
        assignments.c.conversation_id == bindparam("conversation_id")
    )
)
_OF = CompiledStatement(
    lambda _: select(assignments).where(
        assignments.c.conversation_id.in_(bindparam("conversation_ids", expanding=True))
    )
)


def by_id(tx: Connection, conversation_id: str) -> Assignment | None:
    """The assignment of a conversation, if it ever had one."""
    row = _BY_ID.row(tx, conversation_id=conversation_id)
    return _assignment(row) if row is not None else None


def of(tx: Connection, conversation_ids: Sequence[str]) -> dict[str, Assignment]:
    """The assignments of these conversations."""
    if not conversation_ids:
        return {}
    rows = _OF.rows(tx, conversation_ids=conversation_ids)
    return {row.conversation_id: _assignment(row) for row in rows}


def put(tx: Connection, assignment: Assignment) -> None:
    """Keep an assignment; the apps are told, because it has a new ``changed``."""
    values = asdict(assignment) | {"changed": next_seq(tx)}
    statement = insert(tx, assignments).values(**values)
    tx.execute(statement.on_conflict_do_update(index_elements=["conversation_id"], set_=values))


def changed_since(
    tx: Connection, numbers: Iterable[str], changed: int, limit: int
) -> list[tuple[int, Assignment]]:
    """Assignments in conversations of these numbers that changed after a number, oldest first."""
    statement = (
        select(assignments)
        .join(conversations, conversations.c.id == assignments.c.conversation_id)
        .where(assignments.c.changed > changed, conversations.c.number.in_(list(numbers)))
        .order_by(assignments.c.changed)
        .limit(limit)
    )
    return [(int(row.changed), _assignment(row)) for row in tx.execute(statement)]


def owners(tx: Connection) -> list[str]:
    """The extensions that own open conversations of groups."""
    statement = (
        select(assignments.c.owner)
        .where(
            assignments.c.owner.is_not(None),
            assignments.c.group_name.is_not(None),
            assignments.c.done_at.is_(None),
        )
        .distinct()
    )
    return [str(owner) for (owner,) in tx.execute(statement)]


def owned_by(tx: Connection, owner: str, limit: int) -> list[Assignment]:
    """Open conversations of groups that an extension owns."""
    statement = (
        select(assignments)
        .where(
            assignments.c.owner == owner,
            assignments.c.group_name.is_not(None),
            assignments.c.done_at.is_(None),
        )
        .order_by(assignments.c.conversation_id)
        .limit(limit)
    )
    return [_assignment(row) for row in tx.execute(statement)]


def last_turn(tx: Connection, group_name: str) -> str | None:
    """The extension that got the last conversation of a group."""
    statement = select(group_turns.c.extension).where(group_turns.c.group_name == group_name)
    return tx.execute(statement).scalar_one_or_none()


def set_turn(tx: Connection, message_id: str, turn: Turn) -> None:
    """Note which extension got the last conversation of a group, and with which message."""
    statement = insert(tx, group_turns).values(group_name=turn.group_name, extension=turn.extension)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["group_name"], set_={"extension": turn.extension}
        )
    )
    new = insert(tx, message_turns).values(message_id=message_id, **asdict(turn))
    tx.execute(new.on_conflict_do_nothing())


def turns_of(tx: Connection, message_id: str) -> list[Turn]:
    """The turns that extensions got with a message, the first one first."""
    this = message_turns.c.message_id == message_id
    found = tx.execute(select(message_turns).where(this).order_by(message_turns.c.at))
    return [Turn(row.group_name, row.extension, row.at) for row in found]


def _assignment(row: Row[Any]) -> Assignment:
    return Assignment(row.conversation_id, row.group_name, row.owner, row.owned_at, row.done_at)

"""Unassigned messages: stored, but no extension is set up to receive their number (``routed``)."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from services.store.database.schema import UNROUTED, messages
from services.store.messages import next_seq


def numbers(tx: Connection) -> list[str]:
    """Our numbers that have unassigned messages."""
    statement = select(messages.c.number).where(UNROUTED).distinct()
    return [str(number) for (number,) in tx.execute(statement)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Number of unassigned messages of one number, with the times of the first and the last."""

    number: str
    count: int
    first_at: float
    last_at: float


def counts(tx: Connection) -> list[Waiting]:
    """Unassigned messages of each number; the number with most of them first."""
    first, last = messages.alias("first"), messages.alias("last")
    ends = (
        select(
            messages.c.number,
            func.count().label("count"),
            func.min(messages.c.seq).label("first"),
            func.max(messages.c.seq).label("last"),
        )
        .where(UNROUTED)
        .group_by(messages.c.number)
        .subquery()
    )
    statement = (
        select(ends.c.number, ends.c.count, first.c.created_at, last.c.created_at.label("last_at"))
        .join(first, first.c.seq == ends.c.first)
        .join(last, last.c.seq == ends.c.last)
        .order_by(ends.c.count.desc(), ends.c.number)
    )
    return [Waiting(*row) for row in tx.execute(statement)]


def mark_routed(tx: Connection, message_id: str, rule: str | None = None) -> None:
    """Mark a message as assigned, by these rules, and as changed, so that the apps load it."""
    tx.execute(
        update(messages)
        .where(messages.c.id == message_id)
        .values(routed=True, rule=rule, changed=next_seq(tx), updated_at=time.time())
    )

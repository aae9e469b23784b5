"""Unrouted: messages that are kept, and that nobody is set up to receive."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from services.store.database.schema import UNROUTED, messages
from services.store.messages import next_seq


def numbers(tx: Connection) -> list[str]:
    """Numbers for which messages wait that nobody is set up to receive."""
    statement = select(messages.c.number).where(UNROUTED).distinct()
    return [str(number) for (number,) in tx.execute(statement)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages wait for a number that nobody receives, since when and until when."""

    number: str
    count: int
    first_at: float
    last_at: float


def counts(tx: Connection) -> list[Waiting]:
    """What waits for each number that nobody is set up to receive; most first."""
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


def mark_routed(tx: Connection, message_id: str) -> None:
    """Note that somebody receives the message, and let the apps see it as changed."""
    tx.execute(
        update(messages)
        .where(messages.c.id == message_id)
        .values(routed=True, changed=next_seq(tx), updated_at=time.time())
    )

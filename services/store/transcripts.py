"""Messages of some numbers in one direction, by pages (for the Acrobits app)."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from services.core.messages import Direction, Message
from services.store import blocked_senders
from services.store.database.schema import RELEASED, messages
from services.store.messages import load


def page(
    tx: Connection,
    numbers: Iterable[str],
    direction: Direction,
    *,
    limit: int,
    after: int | None = None,
) -> list[Message]:
    """Messages of these numbers after a ``seq``, or the newest ones; oldest first.

    Those of blocked senders are left out, and what is scheduled or was cancelled.
    """
    statement = (
        select(messages)
        .where(
            messages.c.number.in_(list(numbers)),
            messages.c.direction == direction,
            ~blocked_senders.hides_message(),
            RELEASED,
        )
        .limit(limit)
    )
    if after is not None:
        rows = tx.execute(statement.where(messages.c.seq > after).order_by(messages.c.seq)).all()
        return load(tx, rows)
    rows = tx.execute(statement.order_by(messages.c.seq.desc())).all()
    return load(tx, rows[::-1])

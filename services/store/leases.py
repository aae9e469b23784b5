"""Leases of tasks that one worker at a time does, such as processing the inbox of a carrier.

A lease that is not renewed ends by the database's clock, or when its worker is forgotten.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, or_, select

from services.store.database import clock
from services.store.database.schema import leases, workers
from services.store.database.upsert import insert


def acquire(tx: Connection, names: Iterable[str], owner: str, seconds: float) -> set[str]:
    """Take or renew leases for ``seconds``; returns those that ``owner`` has now."""
    now = clock.now(tx)
    free = or_(
        leases.c.owner == owner,
        leases.c.until <= now,
        leases.c.owner.not_in(select(workers.c.id)),
    )
    held = set()
    for name in sorted(names):  # in one order, so that two nodes cannot deadlock
        statement = insert(tx, leases).values(name=name, owner=owner, until=now + seconds)
        change = {"owner": owner, "until": now + seconds}
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_=change, where=free
        )
        if tx.execute(statement.returning(leases.c.name)).first() is not None:
            held.add(name)
    return held


def release(tx: Connection, names: Iterable[str], owner: str) -> None:
    """End leases of ``owner``, so that another worker can take them at once."""
    tx.execute(delete(leases).where(leases.c.name.in_(list(names)), leases.c.owner == owner))

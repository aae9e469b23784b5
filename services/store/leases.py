"""Leases of tasks that one worker at a time does, such as processing the inbox of a carrier.

A lease that is not renewed ends by the database's clock, or when its worker is forgotten.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, delete, or_, select

from services.store.database import clock
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import leases, workers
from services.store.database.upsert import insert


def _take(tx: Connection) -> Any:
    statement = insert(tx, leases)
    new = statement.excluded
    free = or_(
        leases.c.owner == new.owner,
        leases.c.until <= bindparam("now"),
        leases.c.owner.not_in(select(workers.c.id)),
    )
    change = {"owner": new.owner, "until": new.until}
    return statement.on_conflict_do_update(
        index_elements=["name"], set_=change, where=free
    ).returning(leases.c.name)


_TAKE = CompiledStatement(_take)


def acquire(tx: Connection, names: Iterable[str], owner: str, seconds: float) -> set[str]:
    """Take or renew leases for ``seconds``; returns those that ``owner`` has now."""
    now = clock.now(tx)
    taken = (
        _TAKE.row(tx, name=name, owner=owner, until=now + seconds, now=now)
        for name in sorted(names)  # in one order, so that two nodes cannot deadlock
    )
    return {str(row.name) for row in taken if row is not None}


def release(tx: Connection, names: Iterable[str], owner: str) -> None:
    """End leases of ``owner``, so that another worker can take them at once."""
    tx.execute(delete(leases).where(leases.c.name.in_(list(names)), leases.c.owner == owner))

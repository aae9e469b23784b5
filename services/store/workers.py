"""Workers: each says every few seconds that it lives, and its leases hold as long as it does."""

import math
from collections.abc import Iterable

from sqlalchemy import Connection, func, or_, select

from services.store.database import clock
from services.store.database.schema import workers
from services.store.database.upsert import insert

WORKER_SILENT_SECONDS = 20.0


def beat(tx: Connection, worker_id: str, now: float) -> None:
    """Note that a worker lives, by ``clock.now``; its leases hold as long as it does."""
    statement = insert(tx, workers).values(id=worker_id, started_at=now, seen_at=now)
    tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))


def silence(tx: Connection) -> float:
    """Seconds since any worker last said that it lives; infinite before the first one."""
    beat = tx.execute(select(func.max(workers.c.seen_at))).scalar()
    return math.inf if beat is None else max(0.0, clock.now(tx) - float(beat))


def is_youngest(tx: Connection, worker_id: str) -> bool:
    """Whether of all workers that live this one began last: one of them is it at any time."""
    live = workers.c.seen_at > clock.now(tx) - WORKER_SILENT_SECONDS
    newest = select(workers.c.id).where(live).order_by(workers.c.started_at.desc(), workers.c.id)
    return tx.execute(newest.limit(1)).scalar() == worker_id


def forget_workers(tx: Connection, worker_ids: Iterable[str], silent_since: float) -> None:
    """Forget workers that are known to be dead, and those that were last seen before a time."""
    gone = or_(workers.c.id.in_(list(worker_ids)), workers.c.seen_at < silent_since)
    tx.execute(workers.delete().where(gone))

"""Table of delivery workers and their heartbeats. Leases are valid as long as the worker lives."""

import math
from collections.abc import Iterable

from sqlalchemy import Connection, func, or_, select

from services.store.database import clock
from services.store.database.schema import workers
from services.store.database.upsert import insert

WORKER_SILENT_SECONDS = 20.0


def beat(tx: Connection, worker_id: str, now: float) -> None:
    """Store a heartbeat of a worker; ``now`` is ``clock.now``."""
    statement = insert(tx, workers).values(id=worker_id, started_at=now, seen_at=now)
    tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))


def silence(tx: Connection) -> float:
    """Seconds since the last heartbeat of any worker; infinite before the first one."""
    last = tx.execute(select(func.max(workers.c.seen_at))).scalar()
    return math.inf if last is None else max(0.0, clock.now(tx) - float(last))


def is_youngest(tx: Connection, worker_id: str) -> bool:
    """Whether this is the living worker that started last: exactly one is, at any time."""
    live = workers.c.seen_at > clock.now(tx) - WORKER_SILENT_SECONDS
    newest = select(workers.c.id).where(live).order_by(workers.c.started_at.desc(), workers.c.id)
    return tx.execute(newest.limit(1)).scalar() == worker_id


def forget_workers(tx: Connection, worker_ids: Iterable[str], silent_since: float) -> None:
    """Delete workers that are known to be dead, and those without a heartbeat since a time."""
    gone = or_(workers.c.id.in_(list(worker_ids)), workers.c.seen_at < silent_since)
    tx.execute(workers.delete().where(gone))

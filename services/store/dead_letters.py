"""Dead letters: jobs that were given up, until a person has them done again or what they were for
comes about in another way."""

import time
from collections.abc import Iterable

from sqlalchemy import Connection, and_, func, select, update

from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.schema import DEAD, jobs
from services.store.jobs import HOLD_SECONDS, Job, JobKind, load


def newest(
    tx: Connection, limit: int, *, kind: JobKind | None = None, before: int | None = None
) -> list[Job]:
    """Dead letters of a kind or of all, newest first; from before one's id, if it is given."""
    statement = select(jobs).where(DEAD).order_by(jobs.c.id.desc()).limit(limit)
    if kind is not None:
        statement = statement.where(jobs.c.kind == str(kind))
    if before is not None:
        statement = statement.where(jobs.c.id < before)
    return [load(row) for row in tx.execute(statement)]


def counts(tx: Connection) -> dict[str, int]:
    """How many dead letters there are of each kind."""
    statement = select(jobs.c.kind, func.count()).where(DEAD).group_by(jobs.c.kind)
    return {str(kind): int(count) for kind, count in tx.execute(statement)}


def revive(tx: Connection, job_ids: Iterable[int]) -> list[Job]:
    """Make dead letters due again; returns those that were dead, as they are now."""
    now = time.time()
    statement = (
        update(jobs)
        .where(DEAD, jobs.c.id.in_(list(job_ids)))
        .values(
            state="due",
            due=now,
            attempts=0,
            lapses=0,
            started=False,
            hold_until=now + HOLD_SECONDS,
            created_at=now,
            updated_at=now,
        )
        .returning(*jobs.c)
    )
    return [load(row) for row in tx.execute(statement)]


def lay_to_rest(tx: Connection, message_id: str, kind: JobKind) -> None:
    """Note that what was given up for a message has been done after all."""
    given_up = and_(DEAD, jobs.c.message_id == message_id, jobs.c.kind == str(kind))
    statement = update(jobs).where(given_up).values(state="done", updated_at=time.time())
    audit_counters.add(tx, AuditCounter.JOBS_DONE, tx.execute(statement).rowcount)

"""Dead letters: jobs that were given up. The operator can make them due again."""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, func, select, update

from services.store.database import audit_counters, clock
from services.store.database.audit_counters import AuditCounter
from services.store.database.schema import DEAD, jobs
from services.store.jobs import HOLD_SECONDS, Job, JobKind, load


def newest(
    tx: Connection, limit: int, *, kind: JobKind | None = None, before: int | None = None
) -> list[Job]:
    """Dead letters of one kind or all, newest first, with ids below ``before`` if it is given."""
    statement = select(jobs).where(DEAD).order_by(jobs.c.id.desc()).limit(limit)
    if kind is not None:
        statement = statement.where(jobs.c.kind == str(kind))
    if before is not None:
        statement = statement.where(jobs.c.id < before)
    return [load(row) for row in tx.execute(statement)]


def counts(tx: Connection) -> dict[str, int]:
    """Number of dead letters of each kind."""
    statement = select(jobs.c.kind, func.count()).where(DEAD).group_by(jobs.c.kind)
    return {str(kind): int(count) for kind, count in tx.execute(statement)}


def pushes_by_target(tx: Connection) -> dict[str, int]:
    """Number of notifications that were given up, by the device or channel that they were for."""
    failed = and_(DEAD, jobs.c.kind == str(JobKind.PUSH))
    statement = select(jobs.c.target, func.count()).where(failed).group_by(jobs.c.target)
    return {str(target): int(count) for target, count in tx.execute(statement)}


def revive(tx: Connection, job_ids: Iterable[int]) -> list[Job]:
    """Make dead letters due again; returns those that were dead, in their new state."""
    now = clock.now(tx)
    statement = (
        update(jobs)
        .where(DEAD, jobs.c.id.in_(list(job_ids)))
        .values(
            state="due",
            parked=False,
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


def mark_done(tx: Connection, message_id: str, kind: JobKind) -> None:
    """Mark dead letters of a message as done, because it was delivered after all."""
    dead = and_(DEAD, jobs.c.message_id == message_id, jobs.c.kind == str(kind))
    statement = update(jobs).where(dead).values(state="done", updated_at=clock.now(tx))
    audit_counters.add(tx, AuditCounter.JOBS_DONE, tx.execute(statement).rowcount)

"""Attempts that failed: what was answered, and when. One that succeeds leaves nothing here."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from services.store.database.schema import attempts
from services.store.jobs import Job

MOST = 20  # of a job; the newest stay
AGAIN = "again"  # the outcome that is none: the operator asked for another attempt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt to do a job; ``outcome`` is the ``Kind`` of the failure, or ``AGAIN``.

    ``number`` counts the attempts since the job was last begun anew, ``at`` is when it failed.
    """

    job_id: int
    number: int
    at: float
    outcome: str
    code: str | None
    reason: str


def add(tx: Connection, job: Job, outcome: str, reason: str, code: str | None = None) -> None:
    """Note what came of an attempt, and forget the oldest beyond ``MOST``."""
    tx.execute(
        attempts.insert().values(
            job_id=job.id,
            number=job.attempts,
            at=time.time(),
            outcome=outcome,
            code=code,
            reason=reason,
        )
    )
    of_job = attempts.c.job_id == job.id
    newest = select(attempts.c.id).where(of_job).order_by(attempts.c.id.desc())
    last = tx.execute(newest.limit(1).offset(MOST)).scalar()
    if last is not None:
        tx.execute(delete(attempts).where(of_job, attempts.c.id <= last))


def of(tx: Connection, job_ids: Iterable[int]) -> list[Attempt]:
    """What went wrong with some jobs, in the order in which it did."""
    statement = select(attempts).where(attempts.c.job_id.in_(list(job_ids))).order_by(attempts.c.id)
    return [
        Attempt(row.job_id, row.number, row.at, row.outcome, row.code, row.reason)
        for row in tx.execute(statement)
    ]

"""Table of failed attempts at jobs: the answer and the time. Successful ones are not stored.

One that was only passed on, with no word whether it arrived, is stored as well. That the outcome of
a send was unknown is never deleted before its job: it may have been sent.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, exists, select

from services.core.errors import Kind
from services.store.database.schema import attempts
from services.store.jobs import Job

MAX_ATTEMPTS = 20  # stored of a job; older ones are deleted
AGAIN = "again"  # not a failure: the operator asked for another attempt
PASSED_ON = "passed on"  # not a failure: it was taken, and nobody says whether it arrived


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt to do a job; ``outcome`` is its ``Kind``, ``AGAIN`` or ``PASSED_ON``.

    ``number`` counts the attempts since the operator last made the job due. ``at`` is the time of
    the failure.
    """

    job_id: int
    number: int
    at: float
    outcome: str
    code: str | None
    reason: str


def add(tx: Connection, job: Job, outcome: str, reason: str, code: str | None = None) -> None:
    """Add a failed attempt, and delete the oldest certain ones beyond ``MAX_ATTEMPTS``."""
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
    last = tx.execute(newest.limit(1).offset(MAX_ATTEMPTS)).scalar()
    if last is not None:
        certain = attempts.c.outcome != str(Kind.UNKNOWN)
        tx.execute(delete(attempts).where(of_job, certain, attempts.c.id <= last))


def was_unknown(tx: Connection, job: Job) -> bool:
    """Whether the outcome of an earlier attempt at a job was unknown."""
    unknown = and_(attempts.c.job_id == job.id, attempts.c.outcome == str(Kind.UNKNOWN))
    return bool(tx.execute(select(exists().where(unknown))).scalar())


def of(tx: Connection, job_ids: Iterable[int]) -> list[Attempt]:
    """The failed attempts of some jobs, oldest first."""
    statement = select(attempts).where(attempts.c.job_id.in_(list(job_ids))).order_by(attempts.c.id)
    return [
        Attempt(row.job_id, row.number, row.at, row.outcome, row.code, row.reason)
        for row in tx.execute(statement)
    ]

"""Jobs: what has to be done for a message, written in the message's own transaction.

A job is ``due``, then ``leased`` by one worker, then ``done`` or ``dead``. Jobs of one lane are
done in order, except that a job which waits for a retry steps aside after ``HOLD_SECONDS``.
"""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    Integer,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    column,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import DEAD, DUE, LIVE, jobs, workers
from services.store.database.upsert import insert_new

HOLD_SECONDS = 60.0
LAPSES = 5
FILES_PATIENCE_SECONDS = 120.0
EARLIER_LIVE = text("earlier.state IN ('due', 'leased')")  # as in the partial index


class JobKind(StrEnum):
    """What is to be done."""

    SEND = "send"
    PUSH = "push"
    EMAIL = "email"
    FETCH = "fetch"
    RECONCILE = "reconcile"  # ask the carrier what became of a message


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to be done for one message.

    ``target`` is the device, address or attachment; ``about`` the state of the message that is
    told; ``destination`` what is paused or full together; ``lane`` what is done in order.
    """

    kind: JobKind
    message_id: str
    destination: str
    target: str = ""
    about: str = ""
    lane: str = ""
    due: float = field(default_factory=time.time)
    id: int = 0
    owner: str | None = None
    state: str = "due"
    attempts: int = 0
    lapses: int = 0
    started: bool = False
    error: str | None = None
    created_at: float = field(default_factory=time.time)
    updated_at: float = 0.0


def _free() -> Select[Any]:
    """Due jobs of a destination that no earlier job of their lane holds back."""
    earlier = jobs.alias("earlier")
    holds = or_(earlier.c.state == "leased", earlier.c.hold_until > bindparam("now"))
    blocked = exists().where(
        earlier.c.lane == jobs.c.lane, earlier.c.id < jobs.c.id, EARLIER_LIVE, holds
    )
    return (
        select(jobs.c.id)
        .where(DUE, jobs.c.destination == bindparam("destination"), jobs.c.due <= bindparam("now"))
        .where(~blocked)
        .order_by(jobs.c.due, jobs.c.id)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
    )


def _newest() -> Select[Any]:
    """The due job of a destination that became due last, first in its lane."""
    earlier = jobs.alias("earlier")
    waits = exists().where(earlier.c.lane == jobs.c.lane, earlier.c.id < jobs.c.id, EARLIER_LIVE)
    return (
        select(jobs.c.id)
        .where(DUE, jobs.c.destination == bindparam("destination"), jobs.c.due <= bindparam("now"))
        .where(~waits)
        .order_by(jobs.c.due.desc())
        .limit(1)
        .with_for_update(skip_locked=True)
    )


_ADD = CompiledStatement(lambda tx: insert_new(tx, jobs))
_FREE = CompiledStatement(lambda _: _free())
_NEWEST = CompiledStatement(lambda _: _newest())
_LEASE = CompiledStatement(
    lambda _: (
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"))
        .values(
            state="leased",
            owner=bindparam("new_owner"),
            attempts=jobs.c.attempts + 1,
            updated_at=bindparam("now"),
        )
        .returning(*jobs.c)
    )
)
# Goes through the index from one destination to the next, however many jobs each of them has.
_FIRST_DUE = CompiledStatement(
    lambda _: text(
        """
        WITH RECURSIVE waiting (name) AS (
            SELECT min(destination) FROM jobs WHERE state = 'due'
            UNION ALL
            SELECT (SELECT min(destination) FROM jobs WHERE state = 'due' AND destination > name)
            FROM waiting WHERE name IS NOT NULL
        )
        SELECT name, (SELECT min(due) FROM jobs WHERE state = 'due' AND destination = name) AS due
        FROM waiting WHERE name IS NOT NULL
        """
    ).columns(column("name", Text), column("due", Float))
)
_HELD = and_(
    jobs.c.id == bindparam("job_id"),
    jobs.c.owner == bindparam("owner_is"),
    jobs.c.state == "leased",
)
_START = CompiledStatement(
    lambda _: update(jobs).where(_HELD).values(started=True, updated_at=bindparam("now"))
)
_DONE = CompiledStatement(
    lambda _: (
        update(jobs)
        .where(_HELD)
        .values(state="done", owner=None, error=None, updated_at=bindparam("now"))
    )
)


def add(tx: Connection, new: Iterable[Job]) -> None:
    """Write jobs; one that is there already (same message, kind, target, about) is left alone."""
    for job in new:
        made = _ADD.change(
            tx,
            kind=str(job.kind),
            message_id=job.message_id,
            target=job.target,
            about=job.about,
            destination=job.destination,
            lane=job.lane or f"{job.kind}:{job.target}:{job.message_id}",
            state="due",
            due=job.due,
            hold_until=max(job.due, job.created_at) + HOLD_SECONDS,
            attempts=0,
            lapses=0,
            started=False,
            created_at=job.created_at,
            updated_at=job.created_at,
        )
        audit_counters.add(tx, AuditCounter.JOBS_MADE, made)


def lease(tx: Connection, owner: str, destination: str, limit: int, now: float) -> list[Job]:
    """Lease due jobs of one destination to a worker, oldest first, none past its lane's order.

    Where more are due than can be leased, one is the newest instead (every other time, where only
    one can be): what somebody has just written does not wait behind what an outage has left.
    """
    free = [row.id for row in _FREE.rows(tx, destination=destination, now=now, limit=limit)]
    if free and len(free) == limit and (limit > 1 or random.random() < 0.5):  # noqa: S311
        newest = _NEWEST.row(tx, destination=destination, now=now)
        if newest is not None and newest.id not in free:
            free[-1] = newest.id
    leased = (_LEASE.row(tx, job_id=id_, new_owner=owner, now=now) for id_ in free)
    return sorted(map(load, leased), key=lambda job: job.id)


def first_due(tx: Connection) -> dict[str, float]:
    """Every destination for which jobs wait, with the time at which the first of them is due."""
    return {row.name: float(row.due) for row in _FIRST_DUE.rows(tx)}


def has_later(tx: Connection, job: Job) -> bool:
    """Whether a later job waits in the same lane."""
    statement = select(jobs.c.id).where(LIVE, jobs.c.lane == job.lane, jobs.c.id > job.id).limit(1)
    return tx.execute(statement).first() is not None


def start(tx: Connection, job: Job) -> bool:
    """Note that what cannot be undone begins now; false when the lease is lost."""
    return bool(_START.change(tx, job_id=job.id, owner_is=job.owner, now=time.time()))


def done(tx: Connection, job: Job) -> bool:
    """Note that a job is done; false when the lease is lost."""
    ended = _DONE.change(tx, job_id=job.id, owner_is=job.owner, now=time.time())
    audit_counters.add(tx, AuditCounter.JOBS_DONE, ended)
    return bool(ended)


def retry(tx: Connection, job: Job, due: float, error: str, *, counts: bool = True) -> bool:
    """Put a job back until ``due``.

    With ``counts=False`` it is nobody's fault: the attempt is not counted, and its lane waits.
    """
    values = {"state": "due", "owner": None, "due": due, "error": error, "started": False}
    if not counts:
        values |= {"attempts": job.attempts - 1, "hold_until": due + HOLD_SECONDS}
    return _finish(tx, job, **values)


def give_up(tx: Connection, job: Job, error: str) -> bool:
    """Give a job up: it becomes a dead letter with its reason."""
    return _finish(tx, job, state="dead", owner=None, error=error)


def _finish(tx: Connection, job: Job, **values: Any) -> bool:
    """Change a job only while it is leased to the same owner."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.owner == job.owner, jobs.c.state == "leased")
        .values(updated_at=time.time(), **values)
    )
    return bool(tx.execute(statement).rowcount)


def make_due(tx: Connection, message_id: str, kind: JobKind) -> None:
    """Make waiting jobs of a message due now."""
    tx.execute(
        update(jobs)
        .where(jobs.c.message_id == message_id, jobs.c.kind == str(kind), DUE, jobs.c.attempts == 0)
        .values(due=time.time())
    )


def waits(tx: Connection, destination: str, target: str) -> bool:
    """Whether a job for a target waits for its next attempt."""
    later = and_(DUE, jobs.c.destination == destination, jobs.c.target == target)
    return bool(tx.execute(select(exists().where(later, jobs.c.due > time.time()))).scalar())


def make_all_due(tx: Connection, destination: str, target: str | None, seconds: float) -> None:
    """Make what waits for a destination, or for one target of it, due in so many seconds.

    What is in one lane is done in order again, however long it has waited.
    """
    due = time.time() + seconds
    later = and_(DUE, jobs.c.destination == destination, jobs.c.due > due)
    if target is not None:
        later = and_(later, jobs.c.target == target)
    tx.execute(update(jobs).where(later).values(due=due, hold_until=due + HOLD_SECONDS))


def set_back(tx: Connection, seconds: float) -> None:
    """After the clock was set back, let what waits wait no longer than it was meant to."""
    earlier = {"due": jobs.c.due - seconds, "hold_until": jobs.c.hold_until - seconds}
    tx.execute(update(jobs).where(DUE, jobs.c.due > time.time()).values(earlier))


def open_of(tx: Connection, message_id: str, kind: JobKind) -> int:
    """How many jobs of a kind a message still waits for."""
    statement = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.message_id == message_id, jobs.c.kind == str(kind), LIVE)
    )
    return int(tx.execute(statement).scalar_one())


def waits_for_files(tx: Connection, job: Job) -> bool:
    """Whether a file that belongs to what a job tells may still come: for two minutes at most."""
    is_young = time.time() - job.created_at < FILES_PATIENCE_SECONDS
    return is_young and open_of(tx, job.message_id, JobKind.FETCH) > 0


def of(tx: Connection, message_id: str) -> list[Job]:
    """Every job of a message, oldest first."""
    statement = select(jobs).where(jobs.c.message_id == message_id).order_by(jobs.c.id)
    return [load(row) for row in tx.execute(statement)]


def counts(tx: Connection) -> dict[tuple[str, str], int]:
    """How many jobs of each kind are due, leased or dead; those that are done are not looked at."""
    found: dict[tuple[str, str], int] = {}
    for part in (LIVE, DEAD):  # each by its own partial index
        statement = select(jobs.c.kind, jobs.c.state, func.count()).where(part)
        for row in tx.execute(statement.group_by(jobs.c.kind, jobs.c.state)):
            found[str(row[0]), str(row[1])] = int(row[2])
    return found


def oldest_due(tx: Connection, now: float) -> float:
    """The age in seconds of the job that has been due for the longest time."""
    due = tx.execute(select(func.min(jobs.c.due)).where(DUE)).scalar()
    return max(0.0, now - due) if due is not None else 0.0


def abandoned(tx: Connection) -> list[Job]:
    """Leased jobs whose worker is gone, with the lapse counted."""
    orphaned = and_(LIVE, jobs.c.state == "leased", jobs.c.owner.not_in(select(workers.c.id)))
    statement = update(jobs).where(orphaned).values(lapses=jobs.c.lapses + 1).returning(*jobs.c)
    return [load(row) for row in tx.execute(statement)]


def lease_all(tx: Connection, kind: JobKind, owner: str) -> list[Job]:
    """Lease every open job of a kind, whoever holds it: only where no worker is at work."""
    statement = update(jobs).where(LIVE, jobs.c.kind == str(kind))
    found = tx.execute(statement.values(state="leased", owner=owner).returning(*jobs.c))
    return sorted(map(load, found), key=lambda job: job.id)


def begin_anew(tx: Connection) -> int:
    """Let every open job begin as if it were new, and no worker be known; returns how many."""
    now = time.time()
    hold = now + HOLD_SECONDS
    tx.execute(workers.delete())
    statement = update(jobs).where(LIVE)
    values = {"owner": None, "attempts": 0, "lapses": 0, "started": False, "created_at": now}
    return tx.execute(statement.values(state="due", hold_until=hold, **values)).rowcount


def load(row: Row[Any]) -> Job:
    """A row of the jobs table as a job."""
    return Job(
        kind=JobKind(row.kind),
        message_id=row.message_id,
        destination=row.destination,
        target=row.target,
        about=row.about,
        lane=row.lane,
        due=row.due,
        id=row.id,
        owner=row.owner,
        state=row.state,
        attempts=row.attempts,
        lapses=row.lapses,
        started=row.started,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

"""SQL that leases due jobs to a worker, and parks those that wait for an earlier job.

A due job that waits for an earlier one of its lane is parked by the first claim that meets it.
Parked jobs are in no index that claims walk, so a claim costs the same however long the queue is.
"""

import random
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    Text,
    Update,
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

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import PARKED, READY, jobs
from services.store.jobs import Job, load

WALK = 8  # due jobs that a claim looks at beyond those that it takes
PARK_NEWEST = 0.2  # the share of claims that park what is blocked among the newest
PARKED_LOOK = 500  # parked jobs that are looked at together
# The same text as in the partial index, or SQLite does not use it.
EARLIER_LIVE = text("earlier.state IN ('due', 'leased')")


def _blocks(earlier: Any, job: Any) -> ColumnElement[bool]:
    """SQL condition: a job waits for an ``earlier`` one of its lane.

    For one that is in work, due at the same destination, or held: it waits for a retry, not longer
    than ``HOLD_SECONDS``.
    """
    return and_(
        earlier.c.lane == job.c.lane,
        earlier.c.id < job.c.id,
        EARLIER_LIVE,
        or_(
            earlier.c.state == "leased",
            earlier.c.hold_until > bindparam("now"),
            and_(
                earlier.c.due <= bindparam("now"),
                earlier.c.destination == job.c.destination,
            ),
        ),
    )


def _due(*order: ColumnElement[Any]) -> Select[Any]:
    """Due jobs of a destination that are not parked, and whether each is blocked."""
    earlier = jobs.alias("earlier")
    return (
        select(jobs.c.id, exists().where(_blocks(earlier, jobs)).label("blocked"))
        .where(
            READY, jobs.c.destination == bindparam("destination"), jobs.c.due <= bindparam("now")
        )
        .order_by(*order)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True, of=jobs)
    )


def _parked() -> Select[Any]:
    """Parked jobs of the next lanes, and whether each is blocked."""
    earlier = jobs.alias("earlier")
    return (
        select(jobs.c.id, jobs.c.lane, exists().where(_blocks(earlier, jobs)).label("blocked"))
        .where(PARKED, jobs.c.lane > bindparam("after"))
        .order_by(jobs.c.lane, jobs.c.id)
        .limit(bindparam("limit", type_=Integer))
    )


def _park() -> Update:
    """Park jobs that are blocked.

    On PostgreSQL the end of the earlier job waits for this, and finds the parked job. If it is
    under way already, the job stays where it is.
    """
    earlier = jobs.alias("earlier")
    blocked = select(earlier.c.id).where(_blocks(earlier, jobs))
    return (
        update(jobs)
        .where(
            jobs.c.id.in_(bindparam("ids", expanding=True)),
            READY,
            exists(blocked.with_for_update(read=True, skip_locked=True)),
        )
        .values(parked=True)
    )


_OLDEST = CompiledStatement(lambda _: _due(jobs.c.due, jobs.c.id))
_NEWEST = CompiledStatement(lambda _: _due(jobs.c.due.desc(), jobs.c.id.desc()))
_PARKED = CompiledStatement(lambda _: _parked())
_PARK = _park()
_LEASE = CompiledStatement(
    lambda _: (
        update(jobs)
        .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
        .values(
            state="leased",
            owner=bindparam("new_owner"),
            attempts=jobs.c.attempts + 1,
            updated_at=bindparam("now"),
        )
        .returning(*jobs.c)
    )
)
# Uses the index to go from one destination to the next, however many jobs each has.
_FIRST_DUE = CompiledStatement(
    lambda _: text(
        """
        WITH RECURSIVE waiting (name) AS (
            SELECT min(destination) FROM jobs WHERE state = 'due' AND NOT parked
            UNION ALL
            SELECT (
                SELECT min(destination) FROM jobs
                WHERE state = 'due' AND NOT parked AND destination > name
            )
            FROM waiting WHERE name IS NOT NULL
        )
        SELECT name, (
            SELECT min(due) FROM jobs WHERE state = 'due' AND NOT parked AND destination = name
        ) AS due
        FROM waiting WHERE name IS NOT NULL
        """
    ).columns(column("name", Text), column("due", Float))
)


def lease(tx: Connection, owner: str, destination: str, limit: int, now: float) -> list[Job]:
    """Lease due jobs of one destination to a worker, oldest first, in the order of their lanes.

    If more jobs are due than ``limit``, one of them is the newest instead of an old one (with a
    limit of 1 every other time): a new message does not wait behind the backlog of an outage.
    """
    free = _unblocked(tx, destination, limit, now)
    if free and len(free) == limit and (limit > 1 or random.random() < 0.5):  # noqa: S311
        newest = _newest_unblocked(tx, destination, now)
        if newest is not None and newest not in free:
            free[-1] = newest
    leased = _LEASE.rows(tx, ids=free, new_owner=owner, now=now) if free else []
    return sorted(map(load, leased), key=lambda job: job.id)


def _unblocked(tx: Connection, destination: str, limit: int, now: float) -> list[int]:
    """The ids of the oldest due jobs that no earlier job of their lane blocks.

    Blocked ones on the way are parked, so that no claim walks over them again. One claim walks over
    a limited number, however long the queue is; the next one continues.
    """
    free: list[int] = []
    for size in (limit, limit + WALK):
        found = _OLDEST.rows(tx, destination=destination, now=now, limit=size)
        free = [row.id for row in found if not row.blocked][:limit]
        if not _park_blocked(tx, found, now) or len(free) == limit:
            break
    return free


def _newest_unblocked(tx: Connection, destination: str, now: float) -> int | None:
    """The id of the newest due job that nothing blocks, if it is one of the newest.

    Parking costs more than looking. So only some claims park the blocked ones.
    """
    found = _NEWEST.rows(tx, destination=destination, now=now, limit=WALK)
    if random.random() < PARK_NEWEST:  # noqa: S311
        _park_blocked(tx, found, now)
    return next((row.id for row in found if not row.blocked), None)


def _park_blocked(tx: Connection, found: Iterable[Any], now: float) -> bool:
    """Park those of the jobs that are blocked; returns whether there are any."""
    blocked = [row.id for row in found if row.blocked]
    if blocked:
        tx.execute(_PARK, {"ids": blocked, "now": now})
    return bool(blocked)


def unblocked_parked(tx: Connection, after: str, now: float) -> tuple[list[int], str]:
    """The ids of parked jobs that nothing blocks any more, of the next lanes after a lane.

    Also returns the lane after which to continue, which is empty after the last one. When a job
    ends, the next one of its lane is released at once; this is for those whose earlier job waits
    for a retry longer than it may hold them.
    """
    found = _PARKED.rows(tx, after=after, now=now, limit=PARKED_LOOK)
    continues = found[-1].lane if len(found) == PARKED_LOOK else ""
    return [row.id for row in found if not row.blocked], continues


def release(tx: Connection, job_ids: Iterable[int]) -> None:
    """Release parked jobs: the next claims look at them again."""
    tx.execute(update(jobs).where(jobs.c.id.in_(list(job_ids))).values(parked=False))


def first_due(tx: Connection) -> dict[str, float]:
    """Every destination with due or waiting jobs, and when its first job is due.

    Parked jobs are not counted.
    """
    return {row.name: float(row.due) for row in _FIRST_DUE.rows(tx)}


def first_parked(tx: Connection) -> dict[str, float]:
    """Every destination with parked jobs, and since when the first of them is due."""
    statement = select(jobs.c.destination, func.min(jobs.c.due)).where(PARKED)
    found = tx.execute(statement.group_by(jobs.c.destination))
    return {str(name): float(due) for name, due in found}

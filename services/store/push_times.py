"""Statistics: how long pushes take from the creation of the job to its end, by hour (UTC).

A push is counted two minutes after its job was created. One that is not done by then counts as
late, also if it is done later. One that waits for the end of quiet hours is not counted.
"""

import time
from bisect import bisect_left
from collections import Counter
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, func, select

from services.store import counters
from services.store.activity import HOUR, add_counts
from services.store.database.schema import activity_pushes, jobs
from services.store.jobs import JobKind

MARK = "pushes counted"  # name of the counter with the job id up to which pushes have been counted
BATCH = 1000
WITHIN = (10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000)
"""Upper bounds in milliseconds; a push that took longer than the last is ``LATE``."""
LATE = 0

_JOBS = select(
    jobs.c.id,
    jobs.c.kind,
    jobs.c.about,
    jobs.c.state,
    jobs.c.attempts,
    jobs.c.due,
    jobs.c.created_at,
    jobs.c.updated_at,
).order_by(jobs.c.id)


def is_behind(tx: Connection) -> bool:
    """Whether there are jobs to count."""
    mark = counters.value(tx, MARK) or 0
    next_one = select(jobs.c.created_at).where(jobs.c.id > mark).order_by(jobs.c.id).limit(1)
    created_at = tx.execute(next_one).scalar()
    return created_at is not None and _is_old_enough(created_at, time.time())


def count(tx: Connection) -> bool:
    """Count the next pushes of new messages; true if there may be more."""
    now = time.time()
    mark = counters.locked_value(tx, MARK)
    rows = tx.execute(_JOBS.where(jobs.c.id > mark).limit(BATCH)).all()
    old_enough = list(takewhile(lambda row: _is_old_enough(row.created_at, now), rows))
    found: Counter[tuple[int, int]] = Counter()
    for row in old_enough:
        within = _within(row, now)
        if within is not None:
            found[int(row.created_at // HOUR), within] += 1
    add_counts(
        tx,
        activity_pushes,
        [
            {"hour": hour, "within": within, "count": count}
            for (hour, within), count in found.items()
        ],
    )
    if old_enough:
        counters.put(tx, MARK, old_enough[-1].id)
    return len(old_enough) == BATCH


def counts(tx: Connection, first: int, step: int) -> Counter[tuple[int, int]]:
    """Number of pushes since an hour, in periods of ``step`` hours.

    The keys are the first hour of a period and an upper bound in milliseconds (see ``WITHIN``).
    """
    slot = activity_pushes.c.hour - (activity_pushes.c.hour - first) % step
    statement = (
        select(slot, activity_pushes.c.within, func.sum(activity_pushes.c.count))
        .where(activity_pushes.c.hour >= first)
        .group_by(slot, activity_pushes.c.within)
    )
    return Counter({(at, within): int(count) for at, within, count in tx.execute(statement)})


def _is_old_enough(created_at: float, now: float) -> bool:
    return created_at * 1000 <= now * 1000 - WITHIN[-1]


def _within(row: Any, now: float) -> int | None:
    """The bound of the time that a push took, or ``None`` if the job is not counted."""
    postponed = row.state == "due" and row.attempts == 0 and row.due > now
    if row.kind != JobKind.PUSH or row.about != "received" or row.state == "dead" or postponed:
        return None
    index = bisect_left(WITHIN, (row.updated_at - row.created_at) * 1000)
    return WITHIN[index] if row.state == "done" and index < len(WITHIN) else LATE

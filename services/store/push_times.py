"""How long pushes take, from a job's creation to its being done, by the hour in UTC.

A push is looked at two minutes after it began to wait. What was not taken by then is counted as
late, whatever becomes of it; what waits for the end of somebody's quiet hours is not counted.
"""

import time
from bisect import bisect_left
from collections import Counter
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, func, select

from services.store import counters
from services.store.activity import HOUR, add_up
from services.store.database.schema import activity_pushes, jobs
from services.store.jobs import JobKind

MARK = "pushes counted"  # the counter with the id up to which all jobs have been counted
BATCH = 1000
WITHIN = (10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000)
"""Upper bounds in milliseconds; what took longer than the last is ``LATE``."""
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
    """Whether there are jobs that it is time to look at."""
    mark = counters.value(tx, MARK) or 0
    next_one = select(jobs.c.created_at).where(jobs.c.id > mark).order_by(jobs.c.id).limit(1)
    created_at = tx.execute(next_one).scalar()
    return created_at is not None and _is_time(created_at, time.time())


def count(tx: Connection) -> bool:
    """Count the next pushes that tell of a new message; true if there may be more."""
    now = time.time()
    mark = counters.taken(tx, MARK)
    rows = tx.execute(_JOBS.where(jobs.c.id > mark).limit(BATCH)).all()
    ripe = list(takewhile(lambda row: _is_time(row.created_at, now), rows))
    found: Counter[tuple[int, int]] = Counter()
    for row in ripe:
        within = _within(row, now)
        if within is not None:
            found[int(row.created_at // HOUR), within] += 1
    add_up(
        tx,
        activity_pushes,
        [
            {"hour": hour, "within": within, "count": count}
            for (hour, within), count in found.items()
        ],
    )
    if ripe:
        counters.put(tx, MARK, ripe[-1].id)
    return len(ripe) == BATCH


def counts(tx: Connection, first: int, step: int) -> Counter[tuple[int, int]]:
    """How many pushes took how long from an hour on: by the first hour of each ``step`` hours and
    their bound in milliseconds (see ``WITHIN``).
    """
    slot = activity_pushes.c.hour - activity_pushes.c.hour % step
    statement = (
        select(slot, activity_pushes.c.within, func.sum(activity_pushes.c.count))
        .where(activity_pushes.c.hour >= first)
        .group_by(slot, activity_pushes.c.within)
    )
    return Counter({(at, within): int(count) for at, within, count in tx.execute(statement)})


def _is_time(created_at: float, now: float) -> bool:
    return created_at * 1000 <= now * 1000 - WITHIN[-1]


def _within(row: Any, now: float) -> int | None:
    """Within how many milliseconds a job was done; ``None`` if that is not to be counted."""
    put_off = row.state == "due" and row.attempts == 0 and row.due > now
    if row.kind != JobKind.PUSH or row.about != "received" or row.state == "dead" or put_off:
        return None
    place = bisect_left(WITHIN, (row.updated_at - row.created_at) * 1000)
    return WITHIN[place] if row.state == "done" and place < len(WITHIN) else LATE

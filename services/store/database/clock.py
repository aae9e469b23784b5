"""The database's clock, which all nodes share: the clock of one machine may be wrong.

Every time that nodes compare comes from it: when jobs are due, heartbeats, pauses, limits.
"""

import time
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, extract, func, select

VALID_SECONDS = 5.0  # how long a measured difference is used
NOISE_SECONDS = 0.05  # of a measurement: an answer that comes late makes the difference smaller
# For each database: its clock's difference from the monotonic clock, and when it was measured.
_measured: WeakKeyDictionary[Dialect, tuple[float, float]] = WeakKeyDictionary()


def now(tx: Connection) -> float:
    """Seconds since 1970 by the database's clock; for SQLite that is this machine's clock."""
    if tx.dialect.name != "postgresql":
        return time.time()
    known = _measured.get(tx.dialect)
    if known is None or time.monotonic() - known[1] > VALID_SECONDS:
        there = float(tx.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())
        at = time.monotonic()
        found = there - at
        if known is not None and abs(found - known[0]) < NOISE_SECONDS:
            found = max(found, known[0])
        known = _measured[tx.dialect] = found, at
    return known[0] + time.monotonic()


def ahead(tx: Connection) -> float:
    """By how many seconds the database's clock is ahead of this machine's."""
    return 0.0 if tx.dialect.name != "postgresql" else now(tx) - time.time()

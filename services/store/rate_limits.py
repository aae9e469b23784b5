"""Paces: how fast messages may leave, for a carrier and for a number, over all workers.

A pace allows a burst of one second and then one message every ``1 / rate`` seconds (the generic
cell rate algorithm: only the moment at which the next one is due is kept).

Whoever asks holds the installation's sequence until the end of the transaction: a row that is not
there yet cannot be locked, and as everything that changes messages takes the sequence first, no two
nodes wait for each other.
"""

from sqlalchemy import Connection, select, update

from services.store import counters
from services.store.database.schema import paces
from services.store.database.upsert import insert

BURST_SECONDS = 1.0


def wait(tx: Connection, name: str, now: float) -> float:
    """Seconds until a pace allows another message; 0 when it may leave now."""
    counters.hold_sequence(tx)
    due = tx.execute(select(paces.c.due).where(paces.c.name == name)).scalar()
    return max(0.0, (due or 0.0) - now - BURST_SECONDS)


def opens(tx: Connection, name: str, now: float) -> float:
    """From when on (seconds since 1970) a pace allows another message, as far as can be told."""
    due = tx.execute(select(paces.c.due).where(paces.c.name == name)).scalar()
    return max(due or 0.0, now) - BURST_SECONDS


def count(tx: Connection, name: str, rate: float, now: float) -> None:
    """Note that a message leaves now, at ``rate`` messages a second."""
    due = tx.execute(select(paces.c.due).where(paces.c.name == name)).scalar()
    after = max(due or 0.0, now) + 1.0 / rate
    statement = insert(tx, paces).values(name=name, due=after)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"due": after}))


def set_back(tx: Connection, seconds: float) -> None:
    """After the clock was set back, let nothing wait for a moment that is now far off."""
    tx.execute(update(paces).values(due=paces.c.due - seconds))

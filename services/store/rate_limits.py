"""Rate limits of sending, for a carrier and for a number, over all workers.

A limit allows a burst of one second and then one message every ``1 / rate`` seconds (generic cell
rate algorithm: only the time at which the next message is due is stored).

``wait`` locks the sequence of the installation until the end of the transaction: a row that does
not exist yet cannot be locked. Every change of messages locks the sequence first, so two nodes
cannot deadlock.
"""

from sqlalchemy import Connection, select, update

from services.store import counters
from services.store.database.schema import paces
from services.store.database.upsert import insert

BURST_SECONDS = 1.0


def wait(tx: Connection, name: str, now: float) -> float:
    """Seconds until a limit allows another message; 0 if it allows one now."""
    counters.hold_sequence(tx)
    due = tx.execute(select(paces.c.due).where(paces.c.name == name)).scalar()
    return max(0.0, (due or 0.0) - now - BURST_SECONDS)


def allowed_at(tx: Connection, name: str, now: float) -> float:
    """When (seconds since 1970) a limit allows the next message, without a lock: an estimate."""
    due = tx.execute(select(paces.c.due).where(paces.c.name == name)).scalar()
    return max(due or 0.0, now) - BURST_SECONDS


def count(tx: Connection, name: str, rate: float, now: float) -> None:
    """Count a message that is sent now, under a limit of ``rate`` messages a second."""
    due = tx.execute(select(paces.c.due).where(paces.c.name == name)).scalar()
    after = max(due or 0.0, now) + 1.0 / rate
    statement = insert(tx, paces).values(name=name, due=after)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"due": after}))


def shift_back(tx: Connection, seconds: float) -> None:
    """Move all limits back by ``seconds``, because the clock was set back."""
    tx.execute(update(paces).values(due=paces.c.due - seconds))

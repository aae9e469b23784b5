"""The ledger: what came in, was made, was done and was removed, counted where it happens.

It is written in the transaction that does what it counts, once for all the work of a commit, and by
each process in a row of its own, so that nobody waits for another's commit. What stands in the
tables has to agree with it, see ``laws``.
"""

import os
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import BigInteger, Connection, bindparam, update

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import ledger

SHARDS = 16  # rows of the table; processes that write at once seldom share one
_OPEN = "ledger"  # where a transaction's connection keeps what is not written yet


class Entry(StrEnum):
    """What is counted, by the name of its column."""

    ENTERED = "entered"  # parts of carriers' calls, counted at the door
    RECEIVED = "received"
    REPEATED = "repeated"
    STATUSES = "statuses"
    QUARANTINED = "quarantined"
    REPLIED = "replied"
    JOBS_MADE = "jobs_made"
    JOBS_DONE = "jobs_done"
    MESSAGES_REMOVED = "messages_removed"
    QUARANTINE_REMOVED = "quarantine_removed"
    DONE_REMOVED = "done_removed"  # jobs that were done
    UNDONE_REMOVED = "undone_removed"  # jobs that were given up, or not yet done


_WRITE = CompiledStatement(
    lambda _: (
        update(ledger)
        .where(ledger.c.shard == bindparam("own_shard"))
        .values(
            {
                entry: ledger.c[entry] + bindparam(f"more_{entry}", type_=BigInteger)
                for entry in Entry
            }
        )
    )
)


def begin(tx: Connection) -> None:
    """Start counting for a transaction; what one before it left unwritten is forgotten."""
    tx.info[_OPEN] = Counter()


def add(tx: Connection, entry: Entry, count: int = 1) -> None:
    """Count something that this transaction does. ``Store.write`` writes it down."""
    tx.info[_OPEN][entry] += count


def removed(
    tx: Connection, *, messages: int = 0, jobs: Iterable[str] = (), quarantined: int = 0
) -> None:
    """Count what this transaction removes for good: of jobs the states that they were in."""
    states = Counter(jobs)
    done = states.pop("done", 0)
    add(tx, Entry.MESSAGES_REMOVED, messages)
    add(tx, Entry.QUARANTINE_REMOVED, quarantined)
    add(tx, Entry.DONE_REMOVED, done)
    add(tx, Entry.UNDONE_REMOVED, states.total())


def write(tx: Connection) -> None:
    """Write down what was counted, at the end of the transaction: others may use the same row."""
    counted: Counter[Entry] = tx.info.pop(_OPEN)
    if any(counted.values()):
        more = {f"more_{entry}": counted[entry] for entry in Entry}
        _WRITE.change(tx, own_shard=os.getpid() % SHARDS, **more)

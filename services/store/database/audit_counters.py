"""Audit counters: how many messages, jobs and calls were added, done and removed.

Each is counted in the transaction that makes the change. The counts are written once for all the
work of a commit, and each process writes its own row, so that no process waits for the commit of
another. The rows of the tables have to agree with the counters, see ``maintenance.invariants``.
"""

import os
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import BigInteger, Connection, bindparam, update

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import ledger

SHARDS = 16  # rows of the table; processes that write at the same time seldom share one
_COUNTED = "audit_counters"  # key in ``Connection.info`` of the counts that are not written yet


class AuditCounter(StrEnum):
    """What is counted; the values are names of columns."""

    CALLS_RECEIVED = "calls_received"  # webhook calls that were added to the inbox
    CALLS_PROCESSED = "calls_processed"  # webhook calls that left the inbox
    ENTERED = "entered"  # parts of carriers' webhook calls, before they are processed
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
    UNDONE_REMOVED = "undone_removed"  # jobs that were given up, or not done yet


_WRITE = CompiledStatement(
    lambda _: (
        update(ledger)
        .where(ledger.c.shard == bindparam("own_shard"))
        .values(
            {
                counter: ledger.c[counter] + bindparam(f"more_{counter}", type_=BigInteger)
                for counter in AuditCounter
            }
        )
    )
)


def begin(tx: Connection) -> None:
    """Start counting for a transaction; forget what a failed one before it has counted."""
    tx.info[_COUNTED] = Counter()


def add(tx: Connection, counter: AuditCounter, count: int = 1) -> None:
    """Count something that this transaction does. ``Store.write`` writes the counts."""
    tx.info[_COUNTED][counter] += count


def removed(
    tx: Connection, *, messages: int = 0, jobs: Iterable[str] = (), quarantined: int = 0
) -> None:
    """Count what this transaction removes for good; ``jobs`` are the states of removed jobs."""
    states = Counter(jobs)
    done = states.pop("done", 0)
    add(tx, AuditCounter.MESSAGES_REMOVED, messages)
    add(tx, AuditCounter.QUARANTINE_REMOVED, quarantined)
    add(tx, AuditCounter.DONE_REMOVED, done)
    add(tx, AuditCounter.UNDONE_REMOVED, states.total())


def write(tx: Connection) -> None:
    """Write the counts at the end of the transaction: the row may be locked by another process."""
    counted: Counter[AuditCounter] = tx.info.pop(_COUNTED)
    if any(counted.values()):
        more = {f"more_{counter}": counted[counter] for counter in AuditCounter}
        _WRITE.change(tx, own_shard=os.getpid() % SHARDS, **more)

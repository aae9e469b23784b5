"""Invariants of the database: the rows of the tables must agree with the audit counters.

A check counts the rows that are new since the last check and the open jobs; a full check counts all
rows. Each check is one statement, so that all its counts are of one moment, on PostgreSQL too.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, bindparam, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from services.core.messages import Status, rfc3339
from services.store import circuit_breakers, counters, job_leasing
from services.store.database import clock
from services.store.database.audit_counters import AuditCounter, add
from services.store.database.schema import (
    DEAD,
    LEASED,
    LIVE,
    RELEASED,
    inbox,
    ledger,
    messages,
    quarantine,
    workers,
)
from services.store.database.schema import counters as counters_table
from services.store.database.schema import jobs as jobs_table
from services.store.jobs import JobKind
from services.store.maintenance.invariant_violations import Violation

OWNERLESS_SECONDS = 60.0  # the leases of a dead worker are taken back within 25 seconds
HELD_SECONDS = 600.0  # far more than any job takes: every call has a deadline
OVERDUE_SECONDS = 900.0


class Invariant(StrEnum):
    """What must be true."""

    INBOX = "inbox"  # calls received = processed + in the inbox
    INTAKE = "intake"  # what entered = received + repeated + statuses + quarantined
    MESSAGES = "messages"  # received + replied = stored + removed, without scheduled messages
    QUARANTINE = "quarantine"  # quarantined = stored + removed; full checks only
    JOBS = "jobs"  # made = done + due + leased + dead + removed before they were done
    DONE = "done"  # done = stored as done + removed; full checks only
    SENDS = "sends"  # a queued message has a job that sends it
    LEASES = "leases"  # the owner of a leased job is a living worker
    HELD = "held"  # a leased job is being done: its worker has it for ten minutes at most
    OVERDUE = "overdue"  # a due job is done within 15 minutes, if its destination is not paused
    SEQUENCE = "sequence"  # no ``seq`` is above the sequence counter


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a check has counted. The next check begins there.

    ``seq`` is the newest message, ``added`` the number of messages by the audit counters. The other
    fields are how many were missing among the rows before it, see ``CheckResult.missing``.
    """

    seq: int
    added: int
    messages: int
    quarantine: int
    done: int
    sends: int


START = Checkpoint(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: for each invariant how many are missing (0: it holds; below 0: extra).

    ``overdue`` has the destinations with overdue jobs and since when (seconds since 1970).
    """

    missing: dict[Invariant, int]
    overdue: dict[str, float]
    checkpoint: Checkpoint

    def violations(self) -> list[Violation]:
        """The invariants that do not hold."""
        found = [
            Violation(str(invariant), _reason(invariant, count))
            for invariant, count in self.missing.items()
            if count
        ]
        if self.overdue:
            listed = ", ".join(f"{name} ({rfc3339(at)})" for name, at in self.overdue.items())
            reason = (
                f"What is due for {listed} is not done: it is not set up any more, or too slow."
            )
            found.append(Violation(str(Invariant.OVERDUE), reason))
        return found


def check(tx: Connection, since: Checkpoint | None = None) -> CheckResult:
    """Check the invariants for the rows after a checkpoint; without one, a full check."""
    start = since or START
    now = clock.now(tx)
    parameters = {
        "seq": start.seq,
        "stale": now - OWNERLESS_SECONDS,
        "held_since": now - HELD_SECONDS,
    }
    row = tx.execute(_counts(full=since is None), parameters).one()
    counted = {counter: int(getattr(row, counter)) for counter in AuditCounter}
    added = counted[AuditCounter.RECEIVED] + counted[AuditCounter.REPLIED]
    lost = start.messages + added - start.added - row.new
    quarantine_lost, done_lost = start.quarantine, start.done
    if since is None:
        lost -= counted[AuditCounter.MESSAGES_REMOVED]
        quarantine_lost = (
            counted[AuditCounter.QUARANTINED] - counted[AuditCounter.QUARANTINE_REMOVED] - row.calls
        )
        stored_as_done = row.jobs - row.live - row.dead
        done_lost = (
            counted[AuditCounter.JOBS_DONE] - counted[AuditCounter.DONE_REMOVED] - stored_as_done
        )
    missing = {
        Invariant.INBOX: counted[AuditCounter.CALLS_RECEIVED]
        - counted[AuditCounter.CALLS_PROCESSED]
        - row.waiting,
        Invariant.INTAKE: _unaccounted(counted),
        Invariant.MESSAGES: lost,
        Invariant.QUARANTINE: quarantine_lost,
        Invariant.JOBS: _not_done(counted) - row.live - row.dead,
        Invariant.DONE: done_lost,
        Invariant.SENDS: start.sends + row.unsent,
        Invariant.LEASES: int(row.ownerless),
        Invariant.HELD: int(row.held),
        Invariant.SEQUENCE: max(0, row.newest - row.sequence),
    }
    newest = max(row.newest, row.sequence)
    checkpoint = Checkpoint(
        newest, added, lost, quarantine_lost, done_lost, missing[Invariant.SENDS]
    )
    return CheckResult(missing, _overdue(tx), checkpoint)


def settle(tx: Connection) -> None:
    """Correct the audit counters to agree with the tables: missing rows are accepted as lost."""
    found = check(tx)
    missing = found.missing
    add(tx, AuditCounter.CALLS_PROCESSED, missing[Invariant.INBOX])
    add(tx, AuditCounter.ENTERED, -missing[Invariant.INTAKE])
    add(tx, AuditCounter.MESSAGES_REMOVED, missing[Invariant.MESSAGES])
    add(tx, AuditCounter.QUARANTINE_REMOVED, missing[Invariant.QUARANTINE])
    add(tx, AuditCounter.UNDONE_REMOVED, missing[Invariant.JOBS])
    add(tx, AuditCounter.DONE_REMOVED, missing[Invariant.DONE])
    if missing[Invariant.SEQUENCE]:
        counters.put(tx, "seq", found.checkpoint.seq)


def _unaccounted(counted: dict[AuditCounter, int]) -> int:
    outcomes = (
        AuditCounter.RECEIVED,
        AuditCounter.REPEATED,
        AuditCounter.STATUSES,
        AuditCounter.QUARANTINED,
    )
    return counted[AuditCounter.ENTERED] - sum(counted[outcome] for outcome in outcomes)


def _not_done(counted: dict[AuditCounter, int]) -> int:
    return (
        counted[AuditCounter.JOBS_MADE]
        - counted[AuditCounter.JOBS_DONE]
        - counted[AuditCounter.UNDONE_REMOVED]
    )


def _counts(*, full: bool) -> Select[Any]:
    totals = select(
        *(func.sum(ledger.c[counter]).label(counter) for counter in AuditCounter)
    ).subquery()
    is_new = messages.c.seq > bindparam("seq")
    sends = exists().where(
        jobs_table.c.message_id == messages.c.id, jobs_table.c.kind == str(JobKind.SEND)
    )
    unsent = and_(is_new, messages.c.status == str(Status.QUEUED), ~sends)
    sequence = select(counters_table.c.value).where(counters_table.c.name == "seq")
    ownerless = and_(
        LEASED,
        jobs_table.c.updated_at < bindparam("stale"),
        jobs_table.c.owner.not_in(select(workers.c.id)),
    )
    held = and_(
        LEASED,
        jobs_table.c.updated_at < bindparam("held_since"),
        jobs_table.c.owner.in_(select(workers.c.id)),
    )
    # What is scheduled, or was cancelled before its time, is not counted yet.
    statement = select(
        totals,
        _count(inbox).label("waiting"),
        _count(messages, is_new, RELEASED).label("new"),
        _count(messages, unsent).label("unsent"),
        _count(jobs_table, LIVE).label("live"),
        _count(jobs_table, DEAD).label("dead"),
        _count(jobs_table, ownerless).label("ownerless"),
        _count(jobs_table, held).label("held"),
        select(func.coalesce(func.max(messages.c.seq), 0)).scalar_subquery().label("newest"),
        sequence.scalar_subquery().label("sequence"),
    )
    if not full:
        return statement
    return statement.add_columns(
        _count(jobs_table).label("jobs"), _count(quarantine).label("calls")
    )


def _count(table: Table, *conditions: Any) -> ColumnElement[int]:
    return select(func.count()).select_from(table).where(*conditions).scalar_subquery()


def _overdue(tx: Connection) -> dict[str, float]:
    late = clock.now(tx) - OVERDUE_SECONDS
    paused = {pause.name for pause in circuit_breakers.unwell(tx) if pause.until > late}
    firsts = job_leasing.first_due(tx)
    for name, due in job_leasing.first_parked(tx).items():
        firsts[name] = min(due, firsts.get(name, due))
    return {name: due for name, due in firsts.items() if due < late and name not in paused}


def _reason(invariant: Invariant, count: int) -> str:
    """A sentence for the operator on ``count`` missing rows (below 0: extra rows)."""
    missing, extra = _REASONS[invariant]
    return f"{missing if count > 0 else extra}: {abs(count)}."


_REASONS = {
    Invariant.INBOX: (
        "Calls of carriers that were acknowledged and are gone unprocessed",
        "Calls in the inbox that no carrier made",
    ),
    Invariant.INTAKE: (
        "Parts of carriers' calls that became neither message, repeat, receipt nor unreadable call",
        "Messages, repeats, receipts and unreadable calls that no carrier brought",
    ),
    Invariant.MESSAGES: (
        "Messages that were kept and are gone",
        "Messages that are there and were never taken in",
    ),
    Invariant.QUARANTINE: (
        "Unreadable carrier messages that are gone",
        "Unreadable carrier messages that never came",
    ),
    Invariant.JOBS: (
        "Deliveries that were to be made and are gone undone",
        "Deliveries that are to be made and were never asked for",
    ),
    Invariant.DONE: (
        "Deliveries that were made and are no longer noted",
        "Deliveries that are noted as made and never were",
    ),
    Invariant.SENDS: ("Texts in the queue that nothing will send", ""),
    Invariant.LEASES: ("Deliveries in the hands of a worker that is gone", ""),
    Invariant.HELD: ("Deliveries that a worker holds and does not do; restart it", ""),
    Invariant.SEQUENCE: ("Numbers of messages that were not given out; new messages get lost", ""),
}

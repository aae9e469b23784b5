"""The laws of conservation: what the ledger says must stand in the tables, and nothing else.

A look counts what is new since the last one and what is not done; only a thorough look counts
everything. Each look is one statement, so that all it counts is of one moment on PostgreSQL, too.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, bindparam, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from services.core.messages import Status, rfc3339
from services.store import circuit_breakers, counters, jobs
from services.store.database.audit_counters import AuditCounter, add
from services.store.database.schema import DEAD, LIVE, ledger, messages, quarantine, workers
from services.store.database.schema import counters as counters_table
from services.store.database.schema import jobs as jobs_table
from services.store.jobs import JobKind
from services.store.maintenance.invariant_violations import Violation

OWNERLESS_SECONDS = 60.0  # leases of a worker that is gone are taken back within 25
OVERDUE_SECONDS = 900.0


class Law(StrEnum):
    """What must be so."""

    INTAKE = "intake"  # what entered = received + repeated + statuses + quarantined
    MESSAGES = "messages"  # received + replied = stored + removed
    QUARANTINE = "quarantine"  # quarantined = stored + removed; by a thorough look only
    JOBS = "jobs"  # made = done + due + leased + dead + removed before they were done
    DONE = "done"  # done = stored as done + removed; by a thorough look only
    SENDS = "sends"  # a text in the queue has the job that sends it
    LEASES = "leases"  # a job in hand is in the hands of a worker that lives
    OVERDUE = "overdue"  # what is due is done in a quarter of an hour, if nobody asked us to wait
    SEQUENCE = "sequence"  # no message has a number that was not given out


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a look has counted, and how much was missing by then of what it will not see again.

    ``kept`` is what the ledger said of messages, ``seq`` the newest message.
    """

    seq: int
    kept: int
    messages: int
    quarantine: int
    done: int
    sends: int


START = Mark(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Balance:
    """What a look has found: by how much each law is missed (0 for one that holds).

    ``overdue`` has the destinations whose jobs nobody does, with the time since when.
    """

    missing: dict[Law, int]
    overdue: dict[str, float]
    mark: Mark

    def breaches(self) -> list[Violation]:
        """The laws that do not hold."""
        found = [
            Violation(str(law), _reason(law, count)) for law, count in self.missing.items() if count
        ]
        if self.overdue:
            listed = ", ".join(f"{name} ({rfc3339(at)})" for name, at in self.overdue.items())
            reason = (
                f"What is due for {listed} is not done: it is not set up any more, or too slow."
            )
            found.append(Violation(str(Law.OVERDUE), reason))
        return found


def look(tx: Connection, mark: Mark | None = None) -> Balance:
    """Whether the laws hold, counted from a mark on; a thorough look without one."""
    since = mark or START
    asked = {"seq": since.seq, "stale": time.time() - OWNERLESS_SECONDS}
    row = tx.execute(_looked(thorough=mark is None), asked).one()
    booked = {entry: int(getattr(row, entry)) for entry in AuditCounter}
    kept = booked[AuditCounter.RECEIVED] + booked[AuditCounter.REPLIED]
    lost = since.messages + kept - since.kept - row.new
    in_quarantine, done = since.quarantine, since.done
    if mark is None:
        lost -= booked[AuditCounter.MESSAGES_REMOVED]
        in_quarantine = (
            booked[AuditCounter.QUARANTINED] - booked[AuditCounter.QUARANTINE_REMOVED] - row.calls
        )
        stored_as_done = row.jobs - row.live - row.dead
        done = booked[AuditCounter.JOBS_DONE] - booked[AuditCounter.DONE_REMOVED] - stored_as_done
    missing = {
        Law.INTAKE: _unaccounted(booked),
        Law.MESSAGES: lost,
        Law.QUARANTINE: in_quarantine,
        Law.JOBS: _undone(booked) - row.live - row.dead,
        Law.DONE: done,
        Law.SENDS: since.sends + row.unsent,
        Law.LEASES: int(row.ownerless),
        Law.SEQUENCE: max(0, row.newest - row.given),
    }
    newest = max(row.newest, row.given)
    reached = Mark(newest, kept, lost, in_quarantine, done, missing[Law.SENDS])
    return Balance(missing, _overdue(tx), reached)


def settle(tx: Connection) -> None:
    """Let the ledger say what stands in the tables: what is lost is looked for no longer."""
    found = look(tx)
    missing = found.missing
    add(tx, AuditCounter.ENTERED, -missing[Law.INTAKE])
    add(tx, AuditCounter.MESSAGES_REMOVED, missing[Law.MESSAGES])
    add(tx, AuditCounter.QUARANTINE_REMOVED, missing[Law.QUARANTINE])
    add(tx, AuditCounter.UNDONE_REMOVED, missing[Law.JOBS])
    add(tx, AuditCounter.DONE_REMOVED, missing[Law.DONE])
    if missing[Law.SEQUENCE]:
        counters.put(tx, "seq", found.mark.seq)


def _unaccounted(booked: dict[AuditCounter, int]) -> int:
    outcomes = (
        AuditCounter.RECEIVED,
        AuditCounter.REPEATED,
        AuditCounter.STATUSES,
        AuditCounter.QUARANTINED,
    )
    return booked[AuditCounter.ENTERED] - sum(booked[outcome] for outcome in outcomes)


def _undone(booked: dict[AuditCounter, int]) -> int:
    return (
        booked[AuditCounter.JOBS_MADE]
        - booked[AuditCounter.JOBS_DONE]
        - booked[AuditCounter.UNDONE_REMOVED]
    )


def _looked(*, thorough: bool) -> Select[Any]:
    books = select(*(func.sum(ledger.c[entry]).label(entry) for entry in AuditCounter)).subquery()
    is_new = messages.c.seq > bindparam("seq")
    sends = exists().where(
        jobs_table.c.message_id == messages.c.id, jobs_table.c.kind == str(JobKind.SEND)
    )
    unsent = and_(is_new, messages.c.status == str(Status.QUEUED), ~sends)
    given = select(counters_table.c.value).where(counters_table.c.name == "seq")
    ownerless = and_(
        LIVE,
        jobs_table.c.state == "leased",
        jobs_table.c.updated_at < bindparam("stale"),
        jobs_table.c.owner.not_in(select(workers.c.id)),
    )
    looked = select(
        books,
        _count(messages, is_new).label("new"),
        _count(messages, unsent).label("unsent"),
        _count(jobs_table, LIVE).label("live"),
        _count(jobs_table, DEAD).label("dead"),
        _count(jobs_table, ownerless).label("ownerless"),
        select(func.coalesce(func.max(messages.c.seq), 0)).scalar_subquery().label("newest"),
        given.scalar_subquery().label("given"),
    )
    if not thorough:
        return looked
    return looked.add_columns(_count(jobs_table).label("jobs"), _count(quarantine).label("calls"))


def _count(table: Table, *which: Any) -> ColumnElement[int]:
    return select(func.count()).select_from(table).where(*which).scalar_subquery()


def _overdue(tx: Connection) -> dict[str, float]:
    late = time.time() - OVERDUE_SECONDS
    paused = {pause.name for pause in circuit_breakers.unwell(tx) if pause.until > late}
    firsts = jobs.first_due(tx).items()
    return {name: due for name, due in firsts if due < late and name not in paused}


def _reason(law: Law, count: int) -> str:
    """What it means that a law is missed by so much, for the operator."""
    gone, more = _REASONS[law]
    return f"{gone if count > 0 else more}: {abs(count)}."


_REASONS = {
    Law.INTAKE: (
        "Parts of carriers' calls that became neither message, repeat, receipt nor quarantine",
        "Messages, repeats, receipts and calls in quarantine that no carrier brought",
    ),
    Law.MESSAGES: (
        "Messages that were kept and are gone",
        "Messages that are there and were never taken in",
    ),
    Law.QUARANTINE: (
        "Calls in quarantine that are gone",
        "Calls in quarantine that never came",
    ),
    Law.JOBS: (
        "Deliveries that were to be made and are gone undone",
        "Deliveries that are to be made and were never asked for",
    ),
    Law.DONE: (
        "Deliveries that were made and are no longer noted",
        "Deliveries that are noted as made and never were",
    ),
    Law.SENDS: ("Texts in the queue that nothing will send", ""),
    Law.LEASES: ("Deliveries in the hands of a worker that is gone", ""),
    Law.SEQUENCE: ("Numbers of messages that were not given out; new messages get lost", ""),
}

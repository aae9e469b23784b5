"""Job queue (transactional outbox): the deliveries of each message, written in its transaction.

A job is ``due``, then ``leased`` by one worker, then ``done`` or ``dead``. Jobs of one lane are
done in order, but a job that waits for a retry lets later ones pass after ``HOLD_SECONDS``.
Workers lease them by ``job_leasing``.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    Row,
    Text,
    Update,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    type_coerce,
    update,
)

from services.store.database import audit_counters, clock
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import (
    DEAD,
    DUE,
    LEASED,
    LIVE,
    PARKED,
    READY,
    jobs,
    messages,
    workers,
)
from services.store.database.upsert import insert_new

HOLD_SECONDS = 60.0
MAX_INTERRUPTIONS = 5  # leases of one job that may end with the death of the worker
# Why a job waits that has not failed.
WAITS_FOR_FILES, WAITS_FOR_TURN = "Waits for files.", "Waits for its turn."
IN_QUIET_HOURS = "Quiet hours."
FAILING_ATTEMPTS = 2  # of which the second comes a second after the first
FILES_WAIT_SECONDS = 120.0  # from the creation of a job, how long it may wait for files


class JobKind(StrEnum):
    """The kind of work."""

    SEND = "send"
    PUSH = "push"
    EMAIL = "email"
    FETCH = "fetch"
    RECONCILE = "reconcile"  # ask the carrier for the status of a message


def _here() -> float:
    """This machine's clock; ``add`` stores times by the database's."""
    return time.time()


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery or other work for one message.

    ``target`` is the device, address or attachment; ``about`` the event that is notified, or who
    sends;
    ``destination`` is what is paused and limited as a whole; jobs with one ``lane`` are done in
    order. ``interruptions`` counts the leases whose worker died.
    """

    kind: JobKind
    message_id: str
    destination: str
    target: str = ""
    about: str = ""
    lane: str = ""
    due: float = field(default_factory=_here)
    id: int = 0
    owner: str | None = None
    state: str = "due"
    attempts: int = 0
    interruptions: int = 0
    started: bool = False
    error: str | None = None
    created_at: float = field(default_factory=_here)
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Failing:
    """How many jobs of a destination fail again and again, and the error of the newest one."""

    destination: str
    count: int
    error: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of a job; ``at`` is when the job was leased or begun."""

    job_id: int
    at: float


def _add(tx: Connection) -> Any:
    key = (jobs.c.message_id, jobs.c.kind, jobs.c.target, jobs.c.about)
    return insert_new(tx, jobs).returning(jobs.c.id, *key)


def _taken_lanes(tx: Connection) -> Any:
    """Looks at one job of each lane, however many there are."""
    lane: ColumnElement[Any]
    if tx.dialect.name == "sqlite":
        lane = func.json_each(bindparam("lanes", type_=JSON)).table_valued("value").c.value
    else:
        lane = func.unnest(bindparam("lanes", type_=ARRAY(Text))).column_valued("wanted")
    return select(type_coerce(lane, Text).label("lane")).where(
        exists().where(LIVE, jobs.c.lane == lane)
    )


def _release_next() -> Update:
    """Release the next parked job of some lanes."""
    waiting = jobs.alias("waiting")
    parked = text("waiting.state = 'due' AND waiting.parked")
    lanes = waiting.c.lane.in_(bindparam("lanes", expanding=True))
    first = select(func.min(waiting.c.id)).where(parked, lanes).group_by(waiting.c.lane)
    return update(jobs).where(jobs.c.id.in_(first)).values(parked=False)


_ADD = CompiledStatement(_add)
_HAS_DUE = CompiledStatement(
    lambda _: (
        select(jobs.c.id)
        .where(
            READY, jobs.c.destination == bindparam("destination"), jobs.c.due <= bindparam("now")
        )
        .limit(1)
    )
)
_TAKEN_LANES = CompiledStatement(_taken_lanes)
_RELEASE_NEXT = CompiledStatement(lambda _: _release_next())
_HELD = and_(
    jobs.c.id == bindparam("job_id"),
    jobs.c.owner == bindparam("owner_is"),
    jobs.c.state == "leased",
)
_START = CompiledStatement(
    lambda _: update(jobs).where(_HELD).values(started=True, updated_at=bindparam("now"))
)
_DONE = CompiledStatement(
    lambda _: (
        update(jobs)
        .where(
            jobs.c.id.in_(bindparam("ids", expanding=True)),
            jobs.c.owner == bindparam("owner_is"),
            jobs.c.state == "leased",
        )
        .values(state="done", owner=None, error=None, updated_at=bindparam("now"))
    )
)


def add(tx: Connection, new: Iterable[Job]) -> list[Job]:
    """Add jobs, except those that exist already (same message, kind, target and ``about``).

    A job with an ``owner`` is leased to it already. Their times are by this machine's clock; they
    are kept by the database's. Returns the jobs that were added, with their ids.
    """
    ahead = clock.ahead(tx)
    by_key = {_key(job): job for job in new}
    found = _ADD.insert(tx, [_row(job, ahead) for job in by_key.values()])
    ids = {_key(row): int(row.id) for row in found}
    audit_counters.add(tx, AuditCounter.JOBS_MADE, len(ids))
    return [replace(job, id=ids[key]) for key, job in by_key.items() if key in ids]


def leased(job: Job, owner: str) -> Job:
    """A new job as ``add`` takes it if ``owner`` is to begin it at once."""
    return replace(job, state="leased", owner=owner, attempts=1, lane=_lane(job))


def _key(job: Job | Row[Any]) -> tuple[str, str, str, str]:
    return job.message_id, str(job.kind), job.target, job.about


def _row(job: Job, ahead: float) -> dict[str, Any]:
    return {
        "kind": str(job.kind),
        "message_id": job.message_id,
        "target": job.target,
        "about": job.about,
        "destination": job.destination,
        "lane": _lane(job),
        "state": job.state,
        "due": job.due + ahead,
        "hold_until": max(job.due, job.created_at) + ahead + HOLD_SECONDS,
        "owner": job.owner,
        "attempts": job.attempts,
        "lapses": 0,
        "started": False,
        "created_at": job.created_at + ahead,
        "updated_at": job.created_at + ahead,
    }


def _lane(job: Job) -> str:
    return job.lane or f"{job.kind}:{job.target}:{job.message_id}"


def has_due(tx: Connection, destination: str, now: float) -> bool:
    """Whether a job of a destination is due."""
    return _HAS_DUE.row(tx, destination=destination, now=now) is not None


def taken_lanes(tx: Connection, lanes: Collection[str]) -> set[str]:
    """Those of these lanes in which a job is due, waits or is leased."""
    return {row.lane for row in _TAKEN_LANES.rows(tx, lanes=list(lanes))} if lanes else set()


def has_later(tx: Connection, job: Job) -> bool:
    """Whether a later job waits in the same lane."""
    statement = select(jobs.c.id).where(LIVE, jobs.c.lane == job.lane, jobs.c.id > job.id).limit(1)
    return tx.execute(statement).first() is not None


def start(tx: Connection, job: Job) -> bool:
    """Note that the send begins, which cannot be undone; false if the lease is lost."""
    return bool(_START.change(tx, job_id=job.id, owner_is=job.owner, now=clock.now(tx)))


def done(tx: Connection, *ended: Job) -> bool:
    """Mark jobs of one worker as done; false if the lease of one is lost."""
    if not ended:
        return True
    ids = [job.id for job in ended]
    count = _DONE.change(tx, ids=ids, owner_is=ended[0].owner, now=clock.now(tx))
    _RELEASE_NEXT.change(tx, lanes=[job.lane for job in ended])
    audit_counters.add(tx, AuditCounter.JOBS_DONE, count)
    return count == len(ended)


def retry(tx: Connection, job: Job, due: float, error: str, *, counts: bool = True) -> bool:
    """Make a job due again at ``due``; false if the lease is lost.

    With ``counts=False`` the attempt is not counted as one, and the job keeps blocking its lane.
    See also ``put_off``.
    """
    values = {"state": "due", "owner": None, "due": due, "error": error}
    values |= {"started": False, "parked": False}
    if not counts:
        values |= {"attempts": job.attempts - 1, "hold_until": due + HOLD_SECONDS}
    return _finish(tx, job, **values)


def put_off(tx: Connection, job: Job, due: float, reason: str) -> bool:
    """Make a job due at a later time that is its own; false if the lease is lost.

    The attempt is not counted as one, and later jobs of its lane do not wait for it.
    """
    values = {"state": "due", "owner": None, "due": due, "error": reason, "started": False}
    values |= {"attempts": job.attempts - 1, "hold_until": clock.now(tx), "parked": False}
    return _finish(tx, job, **values)


def give_up(tx: Connection, job: Job, error: str) -> bool:
    """Give a job up: it becomes a dead letter with a reason. False if the lease is lost."""
    return _finish(tx, job, state="dead", owner=None, error=error)


def cancel_sends(tx: Connection, lanes: Iterable[str], error: str) -> list[Job]:
    """Give up every send of some lanes that waits, except automatic texts; returns their jobs.

    What a worker has leased asks again itself before it begins.
    """
    automatic = exists().where(
        messages.c.id == jobs.c.message_id, messages.c.automatic.is_not(None)
    )
    waiting = and_(LIVE, jobs.c.state == "due", jobs.c.lane.in_(list(lanes)), ~automatic)
    values = {"state": "dead", "owner": None, "error": error, "updated_at": clock.now(tx)}
    statement = update(jobs).where(waiting).values(parked=False, **values).returning(*jobs.c)
    return sorted(map(load, tx.execute(statement)), key=lambda job: job.id)


def cancel_all(tx: Connection, message_ids: Collection[str], error: str) -> int:
    """Give up every job of some messages that waits; returns how many.

    What a worker has leased stays; later jobs of their lanes go on.
    """
    waiting = and_(LIVE, jobs.c.state == "due", jobs.c.message_id.in_(message_ids))
    values = {"state": "dead", "error": error, "updated_at": clock.now(tx), "parked": False}
    statement = update(jobs).where(waiting).values(values).returning(jobs.c.lane)
    lanes = [row.lane for row in tx.execute(statement)]
    if lanes:
        _RELEASE_NEXT.change(tx, lanes=lanes)
    return len(lanes)


def being_worked_on(tx: Connection, message_ids: Collection[str]) -> set[str]:
    """Those of some messages that are to be sent, or of which a worker has a job at the moment."""
    statement = select(jobs.c.message_id).where(
        LIVE,
        jobs.c.message_id.in_(message_ids),
        or_(jobs.c.state == "leased", jobs.c.kind == str(JobKind.SEND)),
    )
    return {row.message_id for row in tx.execute(statement)}


def _finish(tx: Connection, job: Job, **values: Any) -> bool:
    """Change a job, but only while it is leased to the same owner."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.owner == job.owner, jobs.c.state == "leased")
        .values(updated_at=clock.now(tx), **values)
    )
    ended = bool(tx.execute(statement).rowcount)
    _RELEASE_NEXT.change(tx, lanes=[job.lane])
    return ended


def make_due(tx: Connection, message_id: str, kind: JobKind) -> None:
    """Make the jobs of a message that were not attempted yet due now."""
    tx.execute(
        update(jobs)
        .where(jobs.c.message_id == message_id, jobs.c.kind == str(kind), DUE, jobs.c.attempts == 0)
        .values(due=clock.now(tx))
    )


def waits(tx: Connection, destination: str, target: str) -> bool:
    """Whether a job for a target waits for a later time."""
    later = and_(READY, jobs.c.destination == destination, jobs.c.target == target)
    return bool(tx.execute(select(exists().where(later, jobs.c.due > clock.now(tx)))).scalar())


def waiting_targets(tx: Connection, destination: str) -> set[str]:
    """The targets for which jobs of a destination wait for a later time."""
    later = and_(READY, jobs.c.destination == destination, jobs.c.due > clock.now(tx))
    return {row.target for row in tx.execute(select(jobs.c.target).where(later).distinct())}


def long_waiting(
    tx: Connection, destination: str, about: str, since: float, after_id: int, limit: int
) -> list[Job]:
    """Open jobs of a destination made before ``since`` (``clock.now``), with ids above another."""
    of_destination = and_(LIVE, jobs.c.destination == destination, jobs.c.about == about)
    statement = (
        select(jobs)
        .where(of_destination, jobs.c.created_at <= since, jobs.c.id > after_id)
        .order_by(jobs.c.id)
        .limit(limit)
    )
    return [load(row) for row in tx.execute(statement)]


def make_all_due(tx: Connection, destination: str, target: str | None, seconds: float) -> None:
    """Make the waiting jobs of a destination, or of one target of it, due in ``seconds``.

    Jobs of one lane are done in order again, however long they have waited.
    """
    due = clock.now(tx) + seconds
    later = and_(READY, jobs.c.destination == destination, jobs.c.due > due)
    if target is not None:
        later = and_(later, jobs.c.target == target)
    tx.execute(update(jobs).where(later).values(due=due, hold_until=due + HOLD_SECONDS))


def shift_back(tx: Connection, seconds: float) -> None:
    """Move the times of waiting jobs back by ``seconds``, because the clock was set back."""
    earlier = {"due": jobs.c.due - seconds, "hold_until": jobs.c.hold_until - seconds}
    now = clock.now(tx)
    for part in (READY, PARKED):  # each by its own partial index
        tx.execute(update(jobs).where(part, jobs.c.due > now).values(earlier))


def count_open(tx: Connection, message_id: str, kind: JobKind) -> int:
    """How many open jobs of a kind a message has."""
    statement = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.message_id == message_id, jobs.c.kind == str(kind), LIVE)
    )
    return int(tx.execute(statement).scalar_one())


def waits_for_files(tx: Connection, job: Job) -> bool:
    """Whether a job should wait for the files of its message: at most two minutes."""
    is_young = clock.now(tx) - job.created_at < FILES_WAIT_SECONDS
    return is_young and count_open(tx, job.message_id, JobKind.FETCH) > 0


def of(tx: Connection, message_id: str) -> list[Job]:
    """Every job of a message, oldest first."""
    statement = select(jobs).where(jobs.c.message_id == message_id).order_by(jobs.c.id)
    return [load(row) for row in tx.execute(statement)]


def counts(tx: Connection) -> dict[tuple[str, str], int]:
    """Number of jobs by kind and state, except those that are done."""
    found: dict[tuple[str, str], int] = {}
    for part in (LIVE, DEAD):  # each by its own partial index
        statement = select(jobs.c.kind, jobs.c.state, func.count()).where(part)
        for row in tx.execute(statement.group_by(jobs.c.kind, jobs.c.state)):
            found[str(row[0]), str(row[1])] = int(row[2])
    return found


def failing(tx: Connection) -> list[Failing]:
    """Jobs that have failed several times and are tried again, by their destinations.

    Questions about a message's status are none: a carrier may not know it for long.
    """
    newest, count = func.max(jobs.c.id), func.count()
    statement = (
        select(jobs.c.destination, count, newest)
        .where(
            LIVE,  # by its partial index
            jobs.c.state == "due",
            jobs.c.attempts >= FAILING_ATTEMPTS,
            jobs.c.error.is_not(None),
            jobs.c.error.not_in([WAITS_FOR_FILES, WAITS_FOR_TURN, IN_QUIET_HOURS]),
            jobs.c.kind != str(JobKind.RECONCILE),
        )
        .group_by(jobs.c.destination)
        .order_by(jobs.c.destination)
    )
    found = tx.execute(statement).all()
    errors = select(jobs.c.id, jobs.c.error).where(jobs.c.id.in_([row[2] for row in found]))
    said = {row.id: row.error for row in tx.execute(errors)}
    return [Failing(row[0], int(row[1]), said[row[2]]) for row in found]


def oldest_due(tx: Connection, now: float) -> float:
    """For how many seconds the oldest due job has been due."""
    parts = (READY, PARKED)  # each by its own partial index
    firsts = [tx.execute(select(func.min(jobs.c.due)).where(part)).scalar() for part in parts]
    return max(0.0, now - min(float(now if due is None else due) for due in firsts))


def abandoned(tx: Connection) -> list[Job]:
    """Leased jobs whose worker is dead; counts the interruption."""
    orphaned = and_(LEASED, jobs.c.owner.not_in(select(workers.c.id)))
    statement = update(jobs).where(orphaned).values(lapses=jobs.c.lapses + 1).returning(*jobs.c)
    return [load(row) for row in tx.execute(statement)]


def leases_of(tx: Connection, owner: str) -> list[Lease]:
    """Every lease of a worker."""
    held = and_(LEASED, jobs.c.owner == owner)
    found = tx.execute(select(jobs.c.id, jobs.c.updated_at).where(held))
    return [Lease(row.id, row.updated_at) for row in found]


def interrupted(tx: Connection, owner: str, job_ids: Iterable[int]) -> list[Job]:
    """Of these jobs those that are leased to ``owner``; counts the interruption."""
    held = and_(LEASED, jobs.c.owner == owner, jobs.c.id.in_(list(job_ids)))
    statement = update(jobs).where(held).values(lapses=jobs.c.lapses + 1).returning(*jobs.c)
    return [load(row) for row in tx.execute(statement)]


def lease_all(tx: Connection, kind: JobKind, owner: str) -> list[Job]:
    """Lease every open job of a kind, also leased ones: only while no worker is running."""
    statement = update(jobs).where(LIVE, jobs.c.kind == str(kind))
    found = tx.execute(statement.values(state="leased", owner=owner).returning(*jobs.c))
    return sorted(map(load, found), key=lambda job: job.id)


def reset_all(tx: Connection) -> int:
    """Make every open job due as if it were new, and delete all workers; returns how many."""
    now = clock.now(tx)
    hold = now + HOLD_SECONDS
    tx.execute(workers.delete())
    statement = update(jobs).where(LIVE)
    values = {"owner": None, "attempts": 0, "lapses": 0, "started": False, "created_at": now}
    statement = statement.values(state="due", hold_until=hold, parked=False, **values)
    return tx.execute(statement).rowcount


def load(row: Row[Any]) -> Job:
    """A ``Job`` from a row of the jobs table."""
    return Job(
        kind=JobKind(row.kind),
        message_id=row.message_id,
        destination=row.destination,
        target=row.target,
        about=row.about,
        lane=row.lane,
        due=row.due,
        id=row.id,
        owner=row.owner,
        state=row.state,
        attempts=row.attempts,
        interruptions=row.lapses,
        started=row.started,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

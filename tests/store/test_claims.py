"""Claims: what they cost does not depend on the length of the queue, and what is parked goes on.

The cost is counted in steps of SQLite and in rows that PostgreSQL reads, never in time.
"""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update

from services.delivery.leasing import Leasing
from services.store import dead_letters, job_leasing, jobs
from services.store.database.schema import jobs as table
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from tests.store.conftest import add_jobs, inbound, store_inbound
from tests.waiting import eventually

SLOTS = 16
DESTINATION = "push:webhook"


def queue(store: Store, count: int, lanes: int, *, age: float = 10.0, deep: bool = False) -> None:
    """Queue jobs: each lane has one before any has its second; ``deep``: lane after lane."""
    message = store_inbound(store, inbound(f"x{time.time_ns()}"))
    assert message is not None
    now = time.time() - age
    length = count // lanes
    rows = [
        {
            "kind": "push",
            "message_id": message.id,
            "target": f"t{index}",
            "about": "",
            "destination": DESTINATION,
            "lane": f"lane {index // length if deep else index % lanes}",
            "state": "due",
            "due": now + index / count,
            "hold_until": now + jobs.HOLD_SECONDS,
            "attempts": 0,
            "lapses": 0,
            "started": False,
            "created_at": now,
            "updated_at": now,
        }
        for index in range(count)
    ]
    store.write(lambda tx: tx.execute(insert(table), rows))
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE jobs")


def cost(store: Store, work: Callable[[Connection], object]) -> int:
    """Steps of SQLite (https://sqlite.org/opcode.html), or rows of jobs that PostgreSQL reads."""
    if store.engine.dialect.name == "postgresql":
        return store.write(lambda tx: rows_read(tx, work))
    return store.write(lambda tx: steps(tx, work))


def steps(tx: Connection, work: Callable[[Connection], object]) -> int:
    taken = itertools.count()
    driver = tx.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(lambda: next(taken) < 0, 1)
    try:
        work(tx)
    finally:
        driver.set_progress_handler(None, 0)
    return next(taken)


def rows_read(tx: Connection, work: Callable[[Connection], object]) -> int:
    asked = text(
        "SELECT seq_tup_read + idx_tup_fetch + idx_scan"
        " FROM pg_stat_xact_user_tables WHERE relname = 'jobs'"
    )
    before = tx.execute(asked).scalar_one()
    work(tx)
    return int(tx.execute(asked).scalar_one() - before)


def claims(store: Store, times: int, *, slots: int = SLOTS) -> list[int]:
    """The costs of claims, each after the jobs of the claim before it are done."""
    costs = []
    in_hand: list[Job] = []

    def claim(tx: Connection) -> None:
        assert DESTINATION in job_leasing.first_due(tx)
        in_hand[:] = job_leasing.lease(tx, "w", DESTINATION, slots, time.time())

    for _ in range(times):
        costs.append(cost(store, claim))
        for job in in_hand:
            store.write(lambda tx, job=job: jobs.done(tx, job))
    return costs


def hold_heads(store: Store, **values: object) -> None:
    """Change the first job of every lane."""
    heads = "id IN (SELECT min(id) FROM jobs WHERE state = 'due' GROUP BY lane)"
    store.write(lambda tx: tx.execute(update(table).where(text(heads)).values(**values)))


@pytest.fixture
def always_parks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every claim does what only some do."""
    monkeypatch.setattr(job_leasing, "PARK_NEWEST", 1.0)


def costs_of(store: Store, count: int, lanes: int, *, deep: bool) -> list[int]:
    queue(store, count, lanes, deep=deep)
    found = claims(store, 6)
    store.write(lambda tx: tx.execute(update(table).values(state="done", parked=False)))
    return found


@pytest.mark.usefixtures("always_parks")
@pytest.mark.parametrize("deep", [False, True], ids=["in turns", "lane after lane"])
def test_a_claim_costs_the_same_however_long_the_queue_is(store: Store, deep: bool) -> None:
    costs_of(store, 200, 100, deep=deep)  # the first claim compiles its statements
    short = costs_of(store, 500, 125, deep=deep)
    long = costs_of(store, 8000, 2000, deep=deep)
    assert max(long) <= 1.1 * max(short), (short, long)


@pytest.mark.usefixtures("always_parks")
def test_a_claim_costs_hardly_more_than_one_without_a_queue(store: Store) -> None:
    claims_of_free = costs_of(store, 96, 96, deep=False)
    claims_of_queue = costs_of(store, 4000, 1000, deep=False)
    assert max(claims_of_queue[1:]) <= 2.5 * max(claims_of_free[1:])


@pytest.mark.parametrize(
    "head",
    [
        {"state": "leased", "owner": "another"},
        {"due": time.time() + 3600, "hold_until": time.time() + 3600},
    ],
    ids=["in work", "wait for a retry"],
)
def test_a_claim_does_not_walk_again_over_what_the_heads_hold(
    store: Store, head: dict[str, object]
) -> None:
    queue(store, 96, 96)
    free = max(claims(store, 4)[1:])
    queue(store, 600, 60)
    hold_heads(store, **head)
    message = store_inbound(store, inbound("late"))
    assert message is not None
    late = Job(jobs.JobKind.PUSH, message.id, DESTINATION, target="late", due=time.time() - 5)
    store.write(lambda tx: jobs.add(tx, [late]))
    taken: list[Job] = []

    def claim(tx: Connection) -> None:
        taken.extend(job_leasing.lease(tx, "w", DESTINATION, SLOTS, time.time()))

    costs = []
    while DESTINATION in jobs_due_now(store):
        costs.append(cost(store, claim))
        assert len(costs) < 50, "a claim parks too little"
    assert [job.target for job in taken] == ["late"], "it is behind all that is held"
    assert max(costs) <= 2.5 * free


def jobs_due_now(store: Store) -> set[str]:
    return {name for name, due in store.read(job_leasing.first_due).items() if due <= time.time()}


def test_the_order_of_a_lane_stays_through_a_backlog(store: Store) -> None:
    queue(store, 60, 4, age=2 * jobs.HOLD_SECONDS)
    order: dict[str, list[int]] = {}
    in_work: list[Job] = []
    while taken := store.write(lambda tx: job_leasing.lease(tx, "w", DESTINATION, 3, time.time())):
        in_work += taken
        assert len({job.lane for job in in_work}) == len(in_work), "two of one lane at once"
        if len(in_work) >= 3:
            done = in_work.pop(0)
            order.setdefault(done.lane, []).append(done.id)
            store.write(lambda tx, done=done: jobs.done(tx, done))
    assert sum(map(len, order.values())) + len(in_work) > 12
    assert all(ids == sorted(ids) for ids in order.values())


def test_what_is_parked_goes_on_when_its_head_has_waited_long_enough(store: Store) -> None:
    leasing = Leasing(store, {}, ["webhook"])
    queue(store, 2, 1)
    now = time.time()
    hold_heads(store, due=now + 3600, hold_until=now + 3600)
    assert leasing.take("w", lambda _: SLOTS)[0] == []
    assert jobs_due_now(store) == set(), "it is parked"
    hold_heads(store, hold_until=now - 1)
    (passed,) = eventually(lambda: leasing.take("w", lambda _: SLOTS)[0])
    assert passed.target == "t1"


def test_a_head_of_another_destination_does_not_hold_its_lane_for_ever(store: Store) -> None:
    """A device may have moved, and its old destination may be paused or switched off."""
    queue(store, 2, 1, age=2 * jobs.HOLD_SECONDS)
    hold_heads(store, destination="push:gone")
    (passed,) = store.write(lambda tx: job_leasing.lease(tx, "w", DESTINATION, SLOTS, time.time()))
    assert passed.target == "t1"


def test_parked_jobs_count_as_due(store: Store) -> None:
    queue(store, 3, 1, age=1000)
    (head,) = store.write(lambda tx: job_leasing.lease(tx, "w", DESTINATION, SLOTS, time.time()))
    assert store.read(lambda tx: jobs.oldest_due(tx, time.time())) > 990
    assert store.read(job_leasing.first_parked)[DESTINATION] < time.time() - 990
    assert store.read(jobs.counts) == {("push", "due"): 2, ("push", "leased"): 1}
    store.write(lambda tx: jobs.give_up(tx, head, "no"))
    (second,) = store.write(lambda tx: job_leasing.lease(tx, "w", DESTINATION, SLOTS, time.time()))
    assert second.target == "t1"
    store.write(lambda tx: dead_letters.revive(tx, [head.id]))
    assert (
        store.write(lambda tx: job_leasing.lease(tx, "w", DESTINATION, 1, time.time()))[0].id
        == head.id
    )


def test_a_job_that_ends_while_another_is_parked_behind_it_releases_it(
    postgres_url: str, tmp_path: Path
) -> None:
    nodes = [Store(postgres_url, tmp_path / name) for name in ("one", "two")]
    nodes[0].migrate()
    queue(nodes[0], 1, 1)
    (head,) = nodes[0].write(lambda tx: job_leasing.lease(tx, "w", DESTINATION, 1, time.time()))
    follower = replace(head, target="t1", state="due", owner=None, attempts=0)
    nodes[0].write(lambda tx: jobs.add(tx, [follower]))
    parked, ended = threading.Event(), threading.Event()

    def park(tx: Connection) -> None:
        assert job_leasing.lease(tx, "w2", DESTINATION, SLOTS, time.time()) == []
        parked.set()
        ended.wait(0.5)  # it cannot end now

    def end() -> None:
        parked.wait(10)
        nodes[1].write(lambda tx: jobs.done(tx, head))
        ended.set()

    with ThreadPoolExecutor(2) as pool:
        for result in [pool.submit(end), pool.submit(nodes[0].write, park)]:
            result.result()
    (second,) = nodes[0].write(
        lambda tx: job_leasing.lease(tx, "w", DESTINATION, SLOTS, time.time())
    )
    assert second.target == "t1"
    for node in nodes:
        node.close()


def test_parked_jobs_go_back_with_the_clock(store: Store) -> None:
    message = store_inbound(store, inbound())
    assert message is not None
    add_jobs(store, Job(JobKind.PUSH, message.id, "push:webhook", lane="lane"))
    far = time.time() + 1000.0
    values = {"parked": True, "due": far, "hold_until": far + 60.0}
    store.write(lambda tx: tx.execute(update(table).values(values)))
    store.write(lambda tx: jobs.shift_back(tx, 1000.0))
    (row,) = store.read(lambda tx: tx.execute(select(table.c.due, table.c.hold_until)).all())
    assert abs(row.due - (far - 1000.0)) < 0.001
    assert abs(row.hold_until - row.due - 60.0) < 0.001

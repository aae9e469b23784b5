"""Several nodes on one database: clocks, locks, versions, lost connections."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text, update

from services.core.errors import StorageUnwell
from services.core.messages import Message, Status
from services.delivery.worker import BEAT_SECONDS
from services.gateway import Gateway
from services.operations.health import Check
from services.store import job_leasing, jobs, messages, rate_limits, statuses, workers
from services.store.database import clock
from services.store.database.migrate import head
from services.store.database.schema import counters
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from services.store.workers import WORKER_SILENT_SECONDS
from tests.conftest import NUMBER, PEER
from tests.waiting import eventually

Make = Callable[..., Gateway]


@pytest.fixture
def stores(database: str, tmp_path: Path) -> Iterator[list[Store]]:
    """Two processes' ways to one database."""
    opened = [Store(database or None, tmp_path) for _ in range(2)]
    opened[0].migrate()
    yield opened
    for store in opened:
        store.close()


@pytest.fixture
def nodes(postgres_url: str, tmp_path: Path) -> Iterator[list[Store]]:
    """Two machines' ways to one PostgreSQL."""
    opened = [Store(postgres_url, tmp_path / name) for name in ("one", "two")]
    opened[0].migrate()
    yield opened
    for store in opened:
        store.close()


# Paces


def test_a_pace_is_kept_exactly_by_all_who_send_at_once(stores: list[Store]) -> None:
    """Also at the first message of a number, when there is no row yet that could be locked."""
    gate = threading.Barrier(4)

    def leaves(tx: Connection, name: str) -> bool:
        if rate_limits.wait(tx, name, 1000.0):
            return False
        time.sleep(0.001)
        rate_limits.count(tx, name, 4.0, 1000.0)
        return True

    def send(index: int) -> list[str]:
        left = []
        for name in (f"carrier:{turn}" for turn in range(10)):
            gate.wait(20)
            asked = (stores[index % 2].write(partial(leaves, name=name)) for _ in range(3))
            left += [name for may in asked if may]
        return left

    with ThreadPoolExecutor(4) as pool:
        left = list(chain.from_iterable(pool.map(send, range(4))))
    assert {name: left.count(name) for name in left} == {f"carrier:{i}": 5 for i in range(10)}


# Locks


def blocked(store: Store) -> int:
    """How many transactions of the database wait for a lock."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    return store.read(
        lambda tx: tx.execute(text(f"{waits} AND wait_event_type = 'Lock'")).scalar_one()
    )


def wait_until_blocked(store: Store) -> None:
    eventually(lambda: blocked(store))


def test_a_text_and_a_status_at_once_do_not_wait_for_each_other(nodes: list[Store]) -> None:
    here, there = nodes
    queued = Message(
        direction="out",
        number=NUMBER,
        peer=PEER,
        text="x",
        provider="sandbox",
        status=Status.QUEUED,
    )
    sent = here.write(lambda tx: messages.add_outbound(tx, queued, ""))
    runs: list[str] = []
    begun = threading.Event()

    def text_and_status(tx: Connection) -> None:
        runs.append("here")
        messages.next_seq(tx)
        begun.set()
        if len(runs) < 3:
            wait_until_blocked(there)
        statuses.advance(tx, sent.id, Status.SENT)

    def status(tx: Connection) -> None:
        runs.append("there")
        statuses.advance(tx, sent.id, Status.DELIVERED)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(here.write, text_and_status)
        assert begun.wait(20)
        second = pool.submit(there.write, status)
        first.result(30)
        second.result(30)
    assert runs == ["here", "there"], "neither was ended by PostgreSQL"
    kept = here.read(lambda tx: messages.by_id(tx, sent.id))
    assert kept is not None
    assert kept.status is Status.DELIVERED


def test_of_two_that_wait_for_each_other_the_one_that_is_ended_tries_again(
    nodes: list[Store],
) -> None:
    for name in ("a", "b"):
        nodes[0].write(partial(_count, name=name))
    runs: list[int] = []
    both = threading.Barrier(2)

    def work(tx: Connection, index: int) -> None:
        order = ("a", "b") if index else ("b", "a")
        _count(tx, order[0])
        runs.append(index)
        if len(runs) <= 2:
            both.wait(20)
        _count(tx, order[1])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda index: nodes[index].write(partial(work, index=index)), range(2)))
    assert len(runs) >= 3  # on a busy machine the other one may be ended, too
    found = nodes[0].read(lambda tx: tx.execute(text(COUNTED)).scalars().all())
    assert found == [3, 3]


COUNTED = "SELECT value FROM counters WHERE name IN ('a', 'b')"


def _count(tx: Connection, name: str) -> None:
    tx.execute(text("INSERT INTO counters VALUES (:n, 0) ON CONFLICT DO NOTHING"), {"n": name})
    more = update(counters).where(counters.c.name == name)
    tx.execute(more.values(value=counters.c.value + 1))


# Silence


class Beats:
    """A worker whose clock is moved by hand."""

    def __init__(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gateway = gateway
        self.now = 1000.0
        monkeypatch.setattr(clock, "now", lambda _: self.now)
        self.worker = gateway.new_worker()

    def beat(self, seconds: float) -> None:
        """Let time pass and the worker beat."""
        self.now += seconds
        self.worker._beat()

    def other(self) -> None:
        """Another machine's worker beats."""
        self.gateway.store.write(lambda tx: workers.beat(tx, "other", self.now))

    def knows_the_other(self) -> bool:
        """Whether the other one counts as living."""
        query = text("SELECT count(*) FROM workers WHERE id = 'other'")
        return bool(self.gateway.store.read(lambda tx: tx.execute(query).scalar()))


@pytest.fixture
def beats(make_gateway: Make, database: str, monkeypatch: pytest.MonkeyPatch) -> Beats:
    return Beats(make_gateway(DATABASE_URL=database), monkeypatch)


def test_a_worker_that_is_silent_for_too_long_is_dead(beats: Beats) -> None:
    beats.other()
    for _ in range(int(WORKER_SILENT_SECONDS / BEAT_SECONDS)):
        beats.beat(BEAT_SECONDS)
        assert beats.knows_the_other()
    beats.beat(BEAT_SECONDS)
    assert not beats.knows_the_other()


def test_after_an_outage_of_the_database_nobody_is_taken_for_dead_at_once(beats: Beats) -> None:
    for _ in range(10):
        beats.other()
        beats.beat(BEAT_SECONDS)
    beats.beat(3600.0)
    assert beats.knows_the_other(), "it could not beat either"
    beats.other()
    for _ in range(4):
        beats.beat(BEAT_SECONDS)
        assert beats.knows_the_other()
    beats.beat(BEAT_SECONDS)
    assert not beats.knows_the_other()


def test_a_machine_whose_clock_is_wrong_buries_nobody(
    make_gateway: Make, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DATABASE_URL=postgres_url)
    gateway.store.write(lambda tx: jobs.add(tx, [Job(JobKind.PUSH, _kept(tx).id, "push:webhook")]))
    gateway.store.write(
        lambda tx: job_leasing.lease(tx, "other", "push:webhook", 1, time.time() + 1)
    )
    gateway.store.write(lambda tx: workers.beat(tx, "other", clock.now(tx)))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    worker = gateway.new_worker()
    worker._beat()
    worker._watches_since = 0.0
    worker._beat()
    taken = gateway.store.read(lambda tx: tx.execute(text("SELECT owner FROM jobs")).scalar())
    assert taken == "other"
    assert gateway.store.read(workers.silence) < WORKER_SILENT_SECONDS


def _kept(tx: Connection) -> Message:
    message = Message(direction="in", number=NUMBER, peer=PEER, text="x", provider="sandbox")
    kept = messages.add_inbound(tx, message)
    assert kept is not None
    return kept


# What a node says of itself


def check(gateway: Gateway, name: str) -> Check:
    return next(check for check in gateway.health.checks() if check.name == name)


def warned(gateway: Gateway, name: str) -> str:
    return "".join(warned.reason for warned in gateway.health.warnings() if warned.name == name)


def test_a_node_that_only_serves_judges_by_anybodys_worker(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(DATABASE_URL=database, DELIVERY_WORKER="false")
    assert "flask worker`" in check(gateway, "worker").reason
    gateway.store.write(lambda tx: workers.beat(tx, "elsewhere", clock.now(tx)))
    assert check(gateway, "worker").ok
    late = WORKER_SILENT_SECONDS + 1
    gateway.store.write(lambda tx: workers.beat(tx, "elsewhere", clock.now(tx) - late))
    assert "flask worker`" in check(gateway, "worker").reason


@pytest.mark.parametrize(
    ("ahead", "side"), [(31.0, "31 seconds ahead"), (-31.0, "31 seconds behi")]
)
def test_a_clock_that_differs_is_told(
    make_gateway: Make, postgres_url: str, monkeypatch: pytest.MonkeyPatch, ahead: float, side: str
) -> None:
    gateway = make_gateway(DATABASE_URL=postgres_url)
    assert warned(gateway, "clock") == ""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    assert side in warned(gateway, "clock")


def test_a_node_goes_on_while_another_is_newer_and_does_not_start_anew(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(DATABASE_URL=database)
    newer: Any = text("UPDATE alembic_version SET version_num = '9999'")
    gateway.store.write(lambda tx: tx.execute(newer))
    assert check(gateway, "schema").ok
    assert "newer Textbridge" in warned(gateway, "schema")
    with pytest.raises(StorageUnwell, match=f"migration 9999, this one knows up to {head()}"):
        gateway.prepare()

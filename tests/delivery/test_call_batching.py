"""Batched calls: pushes looked up and recorded together, and which writes wait for the disk."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from services.core.messages import Device, Message
from services.delivery.call_batching import BatchedCall
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import jobs, messages
from services.store.database.engine import WRITE, sqlite_fault
from services.store.database.store import Store
from services.store.jobs import Job
from tests.conftest import NUMBER, NUMBER_ENTRY
from tests.fakes.receiver import Receiver
from tests.waiting import eventually

Make = Callable[..., Gateway]
PEERS = [f"+1303555{number:04}" for number in range(8)]


@pytest.fixture
def pushed(make_gateway: Make, receiver: Receiver, database: str) -> Gateway:
    """A gateway with one text of each peer, which waits to be pushed."""
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **receiver.env)
    sandbox = gateway.providers["sandbox"]
    for peer in PEERS:
        message = Message(direction="in", number=NUMBER, peer=peer, text="hi")
        gateway.receiver.receive(sandbox, sandbox.example(message))
    return gateway


def all_jobs(gateway: Gateway) -> list[Job]:
    """Every job of every text."""

    def look(tx: Connection) -> list[Job]:
        return [job for m in messages.find(tx, limit=100) for job in jobs.of(tx, m.id)]

    return gateway.store.read(look)


def waits_for_the_disk(tx: Connection) -> bool:
    """How the transaction will commit, in the database's own words."""
    if tx.dialect.name == "postgresql":
        return bool(tx.exec_driver_sql("SHOW synchronous_commit").scalar() == "on")
    return int(tx.exec_driver_sql("PRAGMA synchronous").scalar_one()) >= 2  # FULL


def must_wait(store: Store) -> bool:
    """Whether even what may be repeated has to wait: the worker may outlive the database."""
    return store.engine.dialect.name == "postgresql" or bool(sqlite_fault())


def test_items_added_before_the_call_begins_are_in_its_batch() -> None:
    calls: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    def do(gathered: Callable[[], Sequence[int]]) -> None:
        begun.set()
        go.wait(20)
        calls.append(list(gathered()))

    together = BatchedCall[int](do)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together, 0)
        begun.wait(20)
        others = [pool.submit(together, number) for number in (1, 2, 3)]
        eventually(lambda: len(together._next.items) == 4)
        assert not any(one.done() for one in [first, *others])
        go.set()
        for one in [first, *others]:
            one.result(20)
    assert [sorted(call) for call in calls] == [[0, 1, 2, 3]]
    together(4)
    assert calls[1:] == [[4]], "a later item is in the next batch"


def test_a_failing_batch_fails_for_its_items_only() -> None:
    def do(gathered: Callable[[], Sequence[int]]) -> None:
        if 1 in gathered():
            raise ValueError("no")

    together = BatchedCall[int](do)
    with pytest.raises(ValueError, match="no"):
        together(1)
    together(2)


def test_leased_pushes_are_looked_up_in_one_transaction(
    pushed: Gateway, receiver: Receiver
) -> None:
    claimed: list[Job] = []
    pushed.delivery.deliver("w", lambda _: 8, claimed.append)
    begun: list[Connection] = []
    event.listen(pushed.store.engine, "begin", begun.append)
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(pushed.delivery.perform, claimed))
    found = [p["data"]["message"]["from"] for p in receiver.wait_for(8)]
    assert sorted(found) == PEERS
    reads = [tx for tx in begun if not tx.get_execution_options().get(WRITE)]
    assert len(reads) == 1
    assert {job.state for job in all_jobs(pushed)} == {"done"}


def test_a_push_that_cannot_be_looked_up_fails_alone(
    pushed: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = all_jobs(pushed)[0].message_id
    by_id = messages.by_id
    monkeypatch.setattr(
        "services.store.messages.by_id",
        lambda tx, message_id, *more: None if message_id == lost else by_id(tx, message_id, *more),
    )
    pushed.delivery.deliver("w", lambda _: 8, pushed.delivery.perform)
    assert len(receiver.wait_for(7)) == 7
    monkeypatch.undo()
    states = {job.message_id: job.state for job in all_jobs(pushed)}
    assert states.pop(lost) == "dead"
    assert set(states.values()) == {"done"}


def test_a_push_waits_for_the_disk_only_where_the_worker_may_outlive_the_database(
    pushed: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = watched(pushed, monkeypatch)
    pushed.delivery.deliver("w", lambda _: 8, pushed.delivery.perform)
    receiver.wait_for(8)
    assert waited
    assert set(waited) == {must_wait(pushed.store)}, "leases and accepted pushes may be repeated"


def test_a_push_that_was_not_taken_is_recorded_durably(
    pushed: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers.extend([410] * 8)
    claimed: list[Job] = []
    pushed.delivery.deliver("w", lambda _: 8, claimed.append)
    waited = watched(pushed, monkeypatch)
    for job in claimed:
        pushed.delivery.perform(job)
    assert waited
    assert all(waited)


def test_every_write_for_a_reply_waits_for_the_disk(
    make_gateway: Make, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    waited = watched(gateway, monkeypatch)
    gateway.composer.submit(Device(id="d", extension="201"), Reply(text="Yes", to=(PEERS[0],)))
    gateway.delivery.deliver("w", lambda _: 8, gateway.delivery.perform)
    assert [job.state for job in all_jobs(gateway) if job.kind == "send"] == ["done"]
    assert len(waited) >= 4, "the reply, the lease, the beginning and the end of the send"
    assert all(waited)


def watched(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of every commit from now on, whether it waited for the disk."""
    waited: list[bool] = []
    write = Store.write

    def noting(self: Store, work: Callable[[Connection], Any], **how: Any) -> Any:
        def noted(tx: Connection) -> Any:
            waited.append(waits_for_the_disk(tx))
            return work(tx)

        return write(self, noted, **how)

    monkeypatch.setattr(Store, "write", noting)
    return waited


def test_a_lazy_write_beside_a_durable_one_is_durable(database: str, tmp_path: Path) -> None:
    store = Store(database or None, tmp_path)
    store.migrate()
    begun, go = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        go.wait(20)

    with ThreadPoolExecutor(3) as pool:
        holding = pool.submit(store.write, hold)
        begun.wait(20)
        lazily = pool.submit(store.write, waits_for_the_disk, durable=False)
        durably = pool.submit(store.write, waits_for_the_disk)
        eventually(lambda: len(store._writer._queue) == 2)
        go.set()
        holding.result(20)
        assert lazily.result(20), "both are in one commit"
        assert durably.result(20)
    assert store.write(waits_for_the_disk, durable=False) is must_wait(store)
    assert store.write(waits_for_the_disk), "afterwards as before"
    store.close()

"""The store, on SQLite and on PostgreSQL with the same code."""

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select, text
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError, OperationalError

from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import DeliveryStatus, Message, Status, advances
from services.store import (
    circuit_breakers,
    conversations,
    devices,
    jobs,
    messages,
    rate_limits,
    statuses,
    workers,
)
from services.store.database.engine import sqlite_fault
from services.store.database.schema import messages as table
from services.store.database.schema import metadata
from services.store.database.store import Store
from services.store.database.write_lock import WriteLock
from services.store.jobs import Job, JobKind
from services.store.maintenance import removal
from services.store.search import full_text
from tests.conftest import NUMBER, PEER
from tests.migrating import upgrade
from tests.server import ROOT
from tests.waiting import PATIENCE


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(database or None, tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def inbound(provider_id: str = "x1", **changes: object) -> Message:
    fields = {"number": NUMBER, "peer": PEER, "text": "hi", "provider": "sandbox"} | changes
    return Message(direction="in", provider_id=provider_id, **fields)  # type: ignore[arg-type]


def outbound(**changes: object) -> Message:
    fields = {"number": NUMBER, "peer": PEER, "text": "yes", "provider": "sandbox"} | changes
    return Message(direction="out", status=Status.QUEUED, extension="201", **fields)  # type: ignore[arg-type]


def keep(store: Store, message: Message) -> Message | None:
    return store.write(lambda tx: messages.add_inbound(tx, message))


def send(store: Store, message: Message) -> Message:
    return store.write(lambda tx: messages.add_outbound(tx, message, "f"))


def test_migrations_make_exactly_the_declared_tables(store: Store) -> None:
    def is_plain(_table: object, name: str | None, *_: object) -> bool:
        """All but the virtual table of SQLite's search, and the tables in which it is kept."""
        return store.engine.dialect.name != "sqlite" or not str(name).startswith("search_index")

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_plain})
        assert compare_metadata(context, metadata) == []


def test_what_was_stored_before_an_index_was_exchanged_is_all_there(
    empty_database: str, tmp_path: Path
) -> None:
    store = Store(empty_database or None, tmp_path)
    with store.engine.connect() as connection:
        upgrade(connection, "0014")
    gone, first, held = (keep(store, inbound(f"x{n}", text=f"word{n}")) for n in range(3))
    assert gone is not None
    assert first is not None
    assert held is not None
    send(store, outbound(client_id="c1"))
    send(store, outbound())
    add_jobs(store, Job(JobKind.PUSH, held.id, "push:webhook"))
    store.write(full_text.index)
    store.write(lambda tx: removal.remove(tx, [gone.id]))
    before = store.read(lambda tx: tx.execute(select(table).order_by(table.c.seq)).all())
    store.migrate()
    assert store.read(lambda tx: tx.execute(select(table).order_by(table.c.seq)).all()) == before
    assert keep(store, inbound("x1")) is None
    assert store.read(lambda tx: messages.by_client_id(tx, "201", "c1")) is not None
    with pytest.raises(IntegrityError):
        send(store, outbound(client_id="c1"))
    with pytest.raises(IntegrityError):  # its job refers to it
        store.write(lambda tx: tx.execute(table.delete().where(table.c.id == held.id)))
    store.write(lambda tx: removal.remove(tx, [first.id]))
    assert texts_with(store, "word1") == []
    assert texts_with(store, "word2") == ["word2"]
    store.close()


def texts_with(store: Store, word: str) -> list[str]:
    """The texts of the messages that the index has with a word: also of those that are gone."""
    index = "SELECT count(*) FROM search_index"
    kept = store.read(lambda tx: tx.execute(select(func.count()).select_from(table)).scalar())
    assert store.read(lambda tx: tx.execute(text(index)).scalar()) == kept
    found = store.read(lambda tx: full_text.find(tx, word, None, limit=5))
    return [message.text for message in found.messages]


def test_several_processes_may_migrate_at_once(empty_database: str, tmp_path: Path) -> None:
    stores = [Store(empty_database or None, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.migrate(), stores))
    assert stores[0].read(messages.latest_seq) == 0
    for one in stores:
        one.close()


def test_sqlite_is_set_to_survive_a_power_cut(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    for _ in range(3):
        found = store.read(
            lambda tx: [tx.execute(text(f"PRAGMA {name}")).scalar() for name in PRAGMAS]
        )
        assert found == [2, 1, "wal"]
        store.disconnect()
    store.close()


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ("3.40.1", False),
        ("3.44.5", False),
        ("3.44.6", True),
        ("3.50.7", True),
        ("3.51.0", False),
        ("3.51.2", False),
        ("3.51.3", True),
        ("3.53.4", True),
    ],
)
def test_a_sqlite_with_the_fault_of_the_log_is_used_without_the_log(
    version: str, sound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Store(None, tmp_path)  # a sound one has made the database
    before.migrate()
    kept = keep(before, inbound())
    before.close()
    monkeypatch.setattr("services.store.database.engine.sqlite_version", lambda: version)
    store = Store(None, tmp_path)
    found = store.read(lambda tx: [tx.execute(text(f"PRAGMA {name}")).scalar() for name in PRAGMAS])
    assert found == ([2, 1, "wal"] if sound else [3, 1, "delete"])
    assert (sqlite_fault() == "") is sound
    assert kept is not None
    assert store.read(lambda tx: messages.by_id(tx, kept.id)) == kept
    assert keep(store, inbound("x2")) is not None
    store.close()


def test_the_same_message_from_eight_threads_at_once_is_kept_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: keep(store, inbound()), range(32)))
    assert len([message for message in kept if message is not None]) == 1
    assert store.read(lambda tx: tx.execute(select(func.count()).select_from(table)).scalar()) == 1


def test_one_carrier_id_for_two_numbers_is_two_messages(store: Store) -> None:
    assert keep(store, inbound()) is not None
    assert keep(store, inbound(number="+12025550101")) is not None


def test_work_that_fails_takes_nothing_else_with_it(store: Store) -> None:
    """Work that commits together stands or falls alone."""
    gate = threading.Barrier(8)

    def one(index: int) -> bool:
        def work(tx: Connection) -> None:
            messages.add_inbound(tx, inbound(f"m{index}"))
            if index % 2:
                raise RequestRefused("no", "No.")

        gate.wait()
        try:
            store.write(work)
        except RequestRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [True, False] * 4
    kept = store.read(lambda tx: {m.provider_id for m in messages.find(tx, limit=9)})
    assert kept == {"m0", "m2", "m4", "m6"}


def test_sequence_numbers_become_visible_in_their_order(store: Store) -> None:
    """A reader that has seen everything up to a number never finds anything new below it."""
    stop = threading.Event()
    seen: list[list[int]] = []

    def read() -> None:
        token = 0
        while not stop.is_set():
            found = store.read(lambda tx, t=token: messages.changed_since(tx, [NUMBER], t, 1000))
            seen.append([changed for changed, _ in found])
            token = max([token, *seen[-1]])

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: keep(store, inbound(f"n{i}")), range(200)))
    stop.set()
    reader.join()
    rest = store.read(lambda tx: messages.changed_since(tx, [NUMBER], 0, 1000))
    flat = [changed for part in seen for changed in part]
    missed = {changed for changed, _ in rest} - set(flat)
    assert all(changed > max(flat, default=0) for changed in missed)


def test_a_locked_database_is_said_to_be_unwell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.database.engine.BUSY_MILLISECONDS", 50)
    store = Store(None, tmp_path)
    store.migrate()
    other = Store(None, tmp_path)
    with other.engine.connect() as blocker:
        blocker.execution_options(textbridge_write=True)
        blocker.execute(text("SELECT 1"))
        with pytest.raises(StorageUnwell, match="locked"):
            keep(store, inbound())
    assert keep(store, inbound()) is not None
    store.close()
    other.close()


def test_text_of_every_kind_comes_back_as_it_went_in(store: Store) -> None:
    odd = "a\u202eb\u0301 👩‍👩‍👧 \\ ' \" <script> %s ; -- \u2028 €\r\n\t"
    kept = keep(store, inbound(text=odd))
    assert kept is not None
    found = store.read(lambda tx: messages.by_id(tx, kept.id))
    assert found is not None
    assert found.text == odd


# Statuses


def told(status: Status, message: Message, **more: object) -> DeliveryStatus:
    fields = {"provider_id": "c1", "peer": PEER, "event": str(status)} | more
    return DeliveryStatus(status=status, **fields)  # type: ignore[arg-type]


PRAGMAS = ("synchronous", "foreign_keys", "journal_mode")
EVENTS = (Status.SENDING, Status.SENT, Status.DELIVERED)


@pytest.mark.parametrize(
    "order", list(permutations(["answer", *EVENTS])), ids=lambda o: "-".join(o)
)
def test_statuses_end_the_same_in_whatever_order_they_come(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """Also before the send's own answer, which alone tells the carrier's id; and repeated."""
    store = Store(None, tmp_path)
    store.migrate()
    message = send(store, outbound())
    states = [Status.QUEUED]
    for event in order * 2:
        if event == "answer":
            store.write(
                lambda tx: (
                    statuses.advance(tx, message.id, Status.SENT, provider_id="c1"),
                    statuses.join_receipts(tx, message, "c1"),
                )
            )
        else:
            status = told(Status(event), message)
            store.write(lambda tx, s=status: statuses.record_status(tx, "sandbox", s))
        found = store.read(lambda tx: messages.by_id(tx, message.id))
        assert found is not None
        assert found.status is states[-1] or advances(states[-1], found.status)
        states.append(found.status)
    assert states[-1] is Status.DELIVERED
    store.close()


def test_a_receipt_with_our_own_id_needs_no_answer_of_the_carrier(store: Store) -> None:
    message = send(store, outbound())
    status = told(
        Status.FAILED, message, message_id=message.id, code="4720", reason="No such phone."
    )
    moved = store.write(lambda tx: statuses.record_status(tx, "sandbox", status))
    assert moved is not None
    assert (moved.status, moved.error_code, moved.error_reason) == (
        Status.FAILED, "4720", "No such phone.",
    )  # fmt: skip
    assert moved.provider_id == "c1"


def test_the_first_of_two_contradicting_ends_counts(store: Store) -> None:
    message = send(store, outbound())
    for status in (Status.DELIVERED, Status.FAILED):
        event = told(status, message, message_id=message.id)
        store.write(lambda tx, e=event: statuses.record_status(tx, "sandbox", e))
    found = store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    assert found.status is Status.DELIVERED


GROUP = ("+13035550177", "+13035550178", "+13035550179")


@pytest.mark.parametrize(
    ("ends", "status", "reason"),
    [
        (("delivered", "delivered", "delivered"), "delivered", None),
        (("delivered", "delivered"), "sent", None),
        (
            ("failed", "delivered", "delivered"),
            "delivered",
            "1 of 3 recipients did not get it: Off.",
        ),
        (("failed", "failed", "failed"), "failed", "3 of 3 recipients did not get it: Off."),
    ],
)
def test_a_group_is_where_its_recipients_are(
    store: Store, ends: tuple[str, ...], status: str, reason: str | None
) -> None:
    message = send(store, outbound(participants=GROUP))
    for member, end in zip(GROUP, ends, strict=False):
        event = told(
            Status(end), message, message_id=message.id, peer=member,
            reason="Off." if end == "failed" else None,
        )  # fmt: skip
        store.write(lambda tx, e=event: statuses.record_status(tx, "sandbox", e))
    found = store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    assert (found.status, found.error_reason) == (status, reason)


# Jobs


def add_jobs(store: Store, *new: Job) -> None:
    store.write(lambda tx: jobs.add(tx, new))


def claim(store: Store, destination: str = "d", limit: int = 10, owner: str = "w") -> list[Job]:
    return store.write(lambda tx: jobs.lease(tx, owner, destination, limit, time.time()))


def a_job(store: Store, target: str = "t", lane: str = "", **more: object) -> Job:
    message = keep(store, inbound(target + str(time.time_ns())))
    assert message is not None
    return Job(JobKind.PUSH, message.id, "d", target=target, lane=lane, **more)  # type: ignore[arg-type]


def test_a_job_is_written_once(store: Store) -> None:
    job = a_job(store)
    add_jobs(store, job, job)
    add_jobs(store, job)
    assert len(claim(store)) == 1


def test_jobs_of_a_lane_are_done_in_order(store: Store) -> None:
    add_jobs(store, *(a_job(store, f"t{index}", lane="one") for index in range(3)))
    order = []
    while claimed := claim(store):
        assert len(claimed) == 1
        order.append(claimed[0].target)
        store.write(lambda tx, job=claimed[0]: jobs.done(tx, job))
    assert order == ["t0", "t1", "t2"]


def test_the_head_of_a_lane_holds_it_for_a_while_only(store: Store) -> None:
    old = time.time() - jobs.HOLD_SECONDS - 1
    add_jobs(store, a_job(store, "head", lane="one", created_at=old, due=old))
    (head,) = claim(store)
    add_jobs(store, a_job(store, "next", lane="one"))
    assert claim(store) == []
    store.write(lambda tx: jobs.retry(tx, head, time.time() + 600, "later"))
    assert [job.target for job in claim(store)] == ["next"]


def test_what_is_new_does_not_wait_behind_all_that_is_old(store: Store) -> None:
    old = time.time() - 3600
    add_jobs(store, *(a_job(store, f"t{index}", due=old + index) for index in range(40)))
    add_jobs(store, a_job(store, "new"))
    assert [job.target for job in claim(store, limit=4)] == ["t0", "t1", "t2", "new"]
    add_jobs(store, a_job(store, "newer"))
    claimed = [claim(store, limit=1)[0].target for _ in range(35)]  # by lot: 2**-35 that it fails
    assert "newer" in claimed
    assert "t3" in claimed


def test_what_is_new_does_not_overtake_its_own_lane(store: Store) -> None:
    old = time.time() - 3600
    add_jobs(store, *(a_job(store, f"t{index}", due=old + index) for index in range(9)))
    first = a_job(store, "first", lane="one", created_at=old, due=old + 10)
    add_jobs(store, first, a_job(store, "second", lane="one"))
    assert [job.target for job in claim(store, limit=3)] == ["t0", "t1", "first"]


def test_two_workers_never_get_the_same_job(store: Store) -> None:
    add_jobs(store, *(a_job(store, f"t{index}") for index in range(60)))
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda w: claim(store, owner=f"w{w}", limit=10), range(6)))
    ids = [job.id for part in claimed for job in part]
    assert len(ids) == len(set(ids)) == 60


def test_a_worker_that_lost_its_lease_cannot_finish_the_job(store: Store) -> None:
    add_jobs(store, a_job(store))
    (job,) = claim(store, owner="old")
    store.write(lambda tx: workers.beat(tx, "new", time.time()))
    (orphan,) = store.write(jobs.abandoned)
    store.write(lambda tx: jobs.retry(tx, orphan, time.time(), "interrupted"))
    claim(store, owner="new")
    assert store.write(lambda tx: jobs.done(tx, job)) is False


def test_the_queries_of_the_hot_path_use_their_indexes(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.migrate()
    plan = store.read(
        lambda tx: tx.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT id FROM jobs WHERE state = 'due' AND destination = 'x' "
                "AND due <= 1 AND NOT EXISTS (SELECT 1 FROM jobs AS earlier WHERE earlier.lane = "
                "jobs.lane AND earlier.id < jobs.id AND earlier.state IN ('due', 'leased')) "
                "ORDER BY due, id LIMIT 5"
            )
        ).all()
    )
    said = " ".join(str(row) for row in plan)
    assert "jobs_due" in said
    assert "jobs_lane" in said
    assert "SCAN" not in said
    store.close()


def test_what_apps_read_most_costs_the_same_however_much_is_stored(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.migrate()

    def fill(first: int, last: int) -> None:
        def work(tx: Connection) -> None:
            for number in range(first, last):
                peer = f"+1303555{number % 10:04}"
                kept = messages.add_inbound(tx, inbound(f"x{number}", peer=peer))
                assert kept is not None
                conversations.mark_read(tx, "201", kept.conversation_id, kept.seq, kept.seq)
                messages.add_outbound(tx, outbound(peer=peer), "f")  # nothing to read, but newer

        store.write(work)

    fill(0, 300)
    listed = store.read(lambda tx: conversations.page(tx, [NUMBER], limit=5))
    ids = [one.id for one in listed]
    reads: list[Callable[[Connection], object]] = [
        lambda tx: conversations.page(tx, [NUMBER], limit=5),
        lambda tx: conversations.page(tx, [NUMBER], limit=5, unread_by="201"),
        lambda tx: messages.page(tx, ids[0], limit=20),
        lambda tx: messages.page(tx, ids[0], limit=20, before=250),
        lambda tx: messages.by_seq(tx, [one.last_seq for one in listed]),
        lambda tx: messages.unread(tx, "201", ids),
        lambda tx: messages.unread_total(tx, "201", [NUMBER]),
        lambda tx: messages.changed_since(tx, [NUMBER], 250, 20),
    ]
    with_few = [steps(store, work) for work in reads]
    fill(300, 1500)
    with_many = [steps(store, work) for work in reads]
    assert all(many < few * 1.1 for many, few in zip(with_many, with_few, strict=True)), (
        with_few,
        with_many,
    )
    store.close()


def steps(store: Store, work: Callable[[Connection], object]) -> int:
    """How many steps SQLite takes for something (https://sqlite.org/opcode.html)."""
    taken = itertools.count()

    def counted(tx: Connection) -> int:
        driver = tx.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(lambda: next(taken) < 0, 1)
        try:
            work(tx)
        finally:
            driver.set_progress_handler(None, 0)
        return next(taken)

    return store.read(counted)


def test_postgresql_does_not_read_all_messages_to_find_the_unread(
    postgres_url: str, tmp_path: Path
) -> None:
    store = Store(postgres_url, tmp_path)
    store.migrate()
    asked: list[tuple[str, Any]] = []
    listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    reads: list[Callable[[Connection], object]] = [
        lambda tx: messages.unread_total(tx, "201", [NUMBER]),
        lambda tx: conversations.page(tx, [NUMBER], limit=5, unread_by="201"),
    ]

    def plan(tx: Connection, work: Callable[[Connection], object]) -> str:
        work(tx)
        statement, values = asked[-1]
        tx.exec_driver_sql("SET LOCAL enable_nestloop = off")  # it is to prefer a hash
        return " ".join(row[0] for row in tx.exec_driver_sql(f"EXPLAIN {statement}", values))

    for work in reads:
        said = store.read(lambda tx, work=work: plan(tx, work))  # type: ignore[misc]
        assert "Hash" not in said
    store.close()


def test_unread_messages_are_counted_up_to_a_bound(store: Store) -> None:
    def work(tx: Connection) -> str:
        for number in range(messages.MAX_UNREAD + 2):
            kept = messages.add_inbound(tx, inbound(f"x{number}"))
            assert kept is not None
        return kept.conversation_id

    conversation = store.write(work)
    (latest,) = store.read(lambda tx: messages.page(tx, conversation, limit=1))
    assert unread(store, conversation) == messages.MAX_UNREAD
    store.write(lambda tx: conversations.mark_read(tx, "201", conversation, latest.seq - 2, 1))
    assert unread(store, conversation) == 2
    assert unread(store, conversation, "202") == messages.MAX_UNREAD


def unread(store: Store, conversation: str, extension: str = "201") -> int:
    return store.read(lambda tx: messages.unread(tx, extension, [conversation]))[conversation]


# Devices


def test_a_token_is_kept_as_a_hash_only(store: Store) -> None:
    device, token = store.write(lambda tx: devices.add(tx, "201", "phone"))
    rows = store.read(lambda tx: str(tx.execute(text("SELECT * FROM devices")).all()))
    assert token not in rows
    found = store.read(lambda tx: devices.by_token(tx, token))
    assert found is not None
    assert found.id == device.id
    store.write(lambda tx: devices.revoke(tx, device.id))
    assert store.read(lambda tx: devices.by_token(tx, token)) is None


def test_a_pairing_code_works_once_in_any_spelling(store: Store) -> None:
    code = store.write(lambda tx: devices.add_pairing(tx, "201"))
    spelled = code.lower().replace("-", " ")
    assert store.write(lambda tx: devices.use_pairing(tx, spelled)) == "201"
    assert store.write(lambda tx: devices.use_pairing(tx, code)) is None


def test_an_old_pairing_code_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "PAIRING_SECONDS", -1.0)
    code = store.write(lambda tx: devices.add_pairing(tx, "201"))
    assert store.write(lambda tx: devices.use_pairing(tx, code)) is None


def test_the_bell_wakes_those_who_wait(store: Store, tmp_path: Path, database: str) -> None:
    other = Store(database or None, tmp_path)
    rung = other.notifier.subscribe()
    store.write(lambda tx: None)
    assert other.notifier.wait(5.0, rung) is True
    assert other.notifier.wait(0.05, rung + 1) is False
    other.close()


def test_a_read_that_fails_is_said_to_be_unwell(tmp_path: Path) -> None:
    store = Store(None, tmp_path)  # without tables
    with pytest.raises(StorageUnwell) as caught:
        store.read(messages.latest_seq)
    assert isinstance(caught.value.__cause__, OperationalError)
    store.close()


def test_whoever_waits_to_write_is_woken_by_the_one_who_has_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.database.write_lock.POLL_SECONDS", 3600.0)
    monkeypatch.setattr("services.store.database.write_lock.TIMEOUT_SECONDS", 7200.0)
    turns = [WriteLock(tmp_path / "write.lock") for _ in range(4)]
    had = []

    def take(turn: WriteLock) -> None:
        with turn.held():
            had.append(turn)

    with ThreadPoolExecutor(len(turns)) as pool:
        with turns[0].held():
            others = [pool.submit(take, turn) for turn in turns[1:]]
            time.sleep(0.1)  # they begin to wait
        for other in others:
            other.result(timeout=PATIENCE)
    assert len(had) == 3
    for turn in turns:
        turn.close()


def test_who_is_interrupted_while_waiting_to_write_blocks_nobody(tmp_path: Path) -> None:
    """In a server process of its own kind, where a waiting request can be ended from outside."""
    script = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
from pathlib import Path
from sqlalchemy import text
from services.store.database.store import Store
store = Store(None, Path(sys.argv[1])); store.migrate()
def slow(tx): time.sleep(0.2); tx.execute(text("UPDATE counters SET value = value + 1"))
def quick(tx): tx.execute(text("UPDATE counters SET value = value + 1"))
first = gevent.spawn(store.write, slow)
gevent.sleep(0.05)
waiting = [gevent.spawn(store.write, quick) for _ in range(3)]
gevent.sleep(0.05)
waiting[0].kill()
gevent.joinall([first, *waiting], timeout=90)
store.write(quick)
print(store.read(lambda tx: tx.execute(text("SELECT value FROM counters")).scalar()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "4", done.stderr


@pytest.mark.parametrize("moment", ["it gathers others", "it waits for its turn"])
def test_a_leader_that_is_interrupted_blocks_nobody_and_writes_nothing(
    tmp_path: Path, moment: str
) -> None:
    """The first in line is ended before its commit has begun."""
    script = """
from gevent import monkey; monkey.patch_all()
import fcntl, sys, gevent
from pathlib import Path
from sqlalchemy import text
from services.store.database.store import Store
store = Store(None, Path(sys.argv[1])); store.migrate()
def write(tx): tx.execute(text("UPDATE counters SET value = value + 1 WHERE name = 'seq'"))
other = open(Path(sys.argv[1]) / "write.lock")
fcntl.flock(other, fcntl.LOCK_EX)
leader = gevent.spawn(store.write, write)
gevent.sleep(0)
if sys.argv[2] == "it waits for its turn":
    gevent.sleep(0.05)
follower = gevent.spawn(store.write, write)
leader.kill()
fcntl.flock(other, fcntl.LOCK_UN)
with gevent.Timeout(10):
    follower.join()
    store.write(write)
query = text("SELECT value FROM counters WHERE name = 'seq'")
print(store.read(lambda tx: tx.execute(query).scalar()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), moment],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "2", done.stderr


def test_a_store_that_lets_go_keeps_no_file_of_the_database_open(tmp_path: Path) -> None:
    def is_open() -> bool:
        links = Path("/proc/self/fd").iterdir()
        return any(str(tmp_path / "textbridge.db") in os.path.realpath(link) for link in links)

    store = Store(None, tmp_path)
    store.migrate()
    store.write(messages.next_seq)
    store.read(messages.latest_seq)
    assert is_open()
    store.disconnect()
    assert not is_open()
    assert store.write(messages.next_seq) == 2
    store.close()


def test_a_bell_that_cannot_ring_does_not_make_a_write_fail_or_happen_twice(
    tmp_path: Path,
) -> None:
    store = Store(None, tmp_path)
    store.migrate()
    shutil.rmtree(tmp_path / "run")
    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(lambda _: store.write(messages.next_seq), range(40)))
    assert sorted(seqs) == list(range(1, 41))
    store.close()


# Paces


def test_a_pace_lets_a_burst_pass_and_then_one_after_the_other(store: Store) -> None:
    now, left = 1000.0, []

    def ask(tx: Connection) -> float:
        if not (wait := rate_limits.wait(tx, "carrier", now)):
            rate_limits.count(tx, "carrier", 4.0, now)
        return wait

    while len(left) < 20:
        if wait := store.write(ask):
            now += wait
        else:
            left.append(now)
    assert left[:5] == [1000.0] * 5
    assert [round(b - a, 3) for a, b in itertools.pairwise(left[5:])] == [0.25] * 14
    assert store.write(lambda tx: rate_limits.wait(tx, "another", now)) == 0.0


# Destinations


def test_a_pause_that_was_asked_for_outlasts_what_had_begun_before(store: Store) -> None:
    now = time.time()

    def unwell() -> list[str]:
        return [pause.name for pause in store.read(circuit_breakers.unwell)]

    def pause(seconds: float, *, config: bool) -> None:
        store.write(
            lambda tx: circuit_breakers.pause(tx, "d", now + seconds, "busy", config=config)
        )
        store.write(lambda tx: circuit_breakers.resume(tx, "d"))

    pause(600, config=False)
    assert unwell() == ["d"]
    pause(-1, config=False)
    assert unwell() == []
    pause(600, config=True)
    assert unwell() == [], "our fault, and for others it works"


def test_while_another_process_writes_for_too_long_all_who_wait_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.database.write_lock.TIMEOUT_SECONDS", 0.3)
    store = Store(None, tmp_path)
    store.migrate()
    names = [f"n{index}" for index in range(8)]

    def write(name: str) -> str:
        try:
            store.write(lambda tx: rate_limits.count(tx, name, 1.0, 0.0))
        except StorageUnwell as error:
            return str(error)
        return "written"

    with (tmp_path / "write.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with ThreadPoolExecutor(len(names)) as pool:
            said = set(pool.map(write, names))
    assert said == {"Another process has been writing for too long."}
    assert write("later") == "written"
    kept = store.read(lambda tx: tx.execute(text("SELECT name FROM paces")).scalars().all())
    store.close()
    assert kept == ["later"]

"""Writes: one transaction for many, locks of other processes, interrupted writers, notifier."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from services.core.errors import RequestRefused, StorageUnwell
from services.store import messages, rate_limits
from services.store.database import time_limits
from services.store.database.engine import sqlite_fault
from services.store.database.store import Store
from services.store.database.write_lock import WriteLock
from tests.conftest import NUMBER
from tests.server import ROOT
from tests.store.conftest import inbound, store_inbound
from tests.waiting import PATIENCE


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
    kept = store_inbound(before, inbound())
    before.close()
    monkeypatch.setattr("services.store.database.engine.sqlite_version", lambda: version)
    store = Store(None, tmp_path)
    found = store.read(lambda tx: [tx.execute(text(f"PRAGMA {name}")).scalar() for name in PRAGMAS])
    assert found == ([2, 1, "wal"] if sound else [3, 1, "delete"])
    assert (sqlite_fault() == "") is sound
    assert kept is not None
    assert store.read(lambda tx: messages.by_id(tx, kept.id)) == kept
    assert store_inbound(store, inbound("x2")) is not None
    store.close()


def test_a_failing_write_rolls_back_alone(store: Store) -> None:
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


CALLER: ContextVar[int] = ContextVar("caller")


def test_work_that_commits_together_runs_in_the_context_of_its_own_thread(store: Store) -> None:
    """As in a web server: whose request it is stands in a context variable."""
    gate = threading.Barrier(8, timeout=PATIENCE)

    def one(caller: int) -> tuple[int | None, int, bool]:
        def work(_tx: Connection) -> tuple[int | None, int, bool]:
            return CALLER.get(None), threading.get_ident(), time_limits.left() < 26.0

        store.limits.extend(25.0)
        CALLER.set(caller)
        gate.wait()
        return store.write(work)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            found = list(pool.map(one, range(8)))
            assert [caller for caller, _, _ in found] == list(range(8))
            assert all(is_limited for _, _, is_limited in found)
            if len({thread for _, thread, _ in found}) < 8:
                return  # one thread has run the work of another
    raise AssertionError("No work was committed together.")


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
        list(pool.map(lambda i: store_inbound(store, inbound(f"n{i}")), range(200)))
    stop.set()
    reader.join()
    rest = store.read(lambda tx: messages.changed_since(tx, [NUMBER], 0, 1000))
    flat = [changed for part in seen for changed in part]
    missed = {changed for changed, _ in rest} - set(flat)
    assert all(changed > max(flat, default=0) for changed in missed)


def test_a_locked_database_raises_storage_unwell(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.limits.extend(0.3)
    store.migrate()
    other = Store(None, tmp_path)
    with other.engine.connect() as blocker:
        blocker.execution_options(textbridge_write=True)
        blocker.execute(text("SELECT 1"))
        with pytest.raises(StorageUnwell, match="locked"):
            store_inbound(store, inbound())
    assert store_inbound(store, inbound()) is not None
    store.close()
    other.close()


PRAGMAS = ("synchronous", "foreign_keys", "journal_mode")


def test_the_notifier_wakes_subscribers(store: Store, tmp_path: Path, database: str) -> None:
    other = Store(database or None, tmp_path)
    rung = other.notifier.subscribe()
    store.write(lambda tx: None)
    assert other.notifier.wait(5.0, rung) is True
    assert other.notifier.wait(0.05, rung + 1) is False
    other.close()


def test_a_failing_read_raises_storage_unwell(tmp_path: Path) -> None:
    store = Store(None, tmp_path)  # without tables
    with pytest.raises(StorageUnwell) as caught:
        store.read(messages.latest_seq)
    assert isinstance(caught.value.__cause__, OperationalError)
    store.close()


def test_a_waiting_writer_is_woken_by_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.database.write_lock.POLL_SECONDS", 3600.0)
    turns = [WriteLock(tmp_path / "write.lock") for _ in range(4)]
    had = []

    def take(turn: WriteLock) -> None:
        with turn.held(7200.0, 7200.0):
            had.append(turn)

    with ThreadPoolExecutor(len(turns)) as pool:
        with turns[0].held(7200.0, 7200.0):
            others = [pool.submit(take, turn) for turn in turns[1:]]
            time.sleep(0.1)  # they begin to wait
        for other in others:
            other.result(timeout=PATIENCE)
    assert len(had) == 3
    for turn in turns:
        turn.close()


def test_an_interrupted_waiting_writer_blocks_nobody(tmp_path: Path) -> None:
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


def test_a_closed_store_keeps_no_database_file_open(tmp_path: Path) -> None:
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


def test_a_failing_notifier_makes_no_write_fail_or_repeat(
    tmp_path: Path,
) -> None:
    store = Store(None, tmp_path)
    store.migrate()
    shutil.rmtree(tmp_path / "run")
    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(lambda _: store.write(messages.next_seq), range(40)))
    assert sorted(seqs) == list(range(1, 41))
    store.close()


def test_writers_that_wait_too_long_for_another_process_get_an_error(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.limits.extend(0.5)
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

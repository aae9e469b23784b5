"""A database that is silent, locked, replaced or short of space: an error soon, and recovery."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from services.core.errors import StorageUnwell
from services.store import messages
from services.store.database import sqlite_files, time_limits
from services.store.database.store import Store
from services.store.database.time_limits import patient, within
from tests.conftest import NUMBER_ENTRY
from tests.processes import ends_with_parent
from tests.server import ROOT
from tests.store.conftest import inbound, store_inbound
from tests.waiting import PATIENCE, eventually
from torture.database_proxy import DatabaseProxy


def impatient(store: Store) -> Store:
    """A store with the limits of a web process, which other tests extend."""
    store.limits.queue = time_limits.QUEUE_SECONDS
    store.limits.write = store.limits.read = time_limits.WRITE_SECONDS
    return store


# PostgreSQL


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(postgres_url) as running:
        yield running


@pytest.fixture
def far(proxy: DatabaseProxy, tmp_path: Path) -> Iterator[Store]:
    """A store on PostgreSQL behind a network that may fail."""
    store = impatient(Store(proxy.url, tmp_path))
    yield store
    proxy.silence(False)
    store.close()


def test_a_silent_database_raises_storage_unwell_and_is_used_again_afterwards(
    far: Store, proxy: DatabaseProxy
) -> None:
    store_inbound(far, inbound("before"))
    proxy.silence(True)
    with pytest.raises(StorageUnwell, match="does not answer"):
        store_inbound(far, inbound("meanwhile"))
    with pytest.raises(StorageUnwell), within(3.0):
        far.read(messages.latest_seq)
    proxy.silence(False)
    assert store_inbound(far, inbound("after")) is not None


def test_what_waits_behind_a_silent_write_hears_of_it_too(
    proxy: DatabaseProxy, tmp_path: Path
) -> None:
    """In a server process of its own kind, many requests wait at the same time."""
    script = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from pathlib import Path
from sqlalchemy import text
from services.core.errors import StorageUnwell
from services.store.database.store import Store
store = Store(sys.argv[1], Path(sys.argv[2]))
def write(_):
    try:
        store.write(lambda tx: tx.execute(text("SELECT 1")))
    except StorageUnwell:
        return "unwell"
store.read(lambda tx: tx.execute(text("SELECT 1")))
print("ready", flush=True); input()
callers = [gevent.spawn(write, index) for index in range(200)]
gevent.joinall(callers)
print(len([one for one in callers if one.value == "unwell"]), flush=True)
"""
    command = [sys.executable, "-c", script, proxy.url, str(tmp_path)]
    process = subprocess.Popen(
        ends_with_parent(*command), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    proxy.silence(True)
    told, _ = process.communicate("\n", timeout=PATIENCE)
    assert told == "200\n"


def test_no_operation_is_begun_for_a_caller_whose_time_is_over(far: Store) -> None:
    with within(0.0), pytest.raises(StorageUnwell, match="in time"):
        store_inbound(far, inbound("late"))
    with within(0.0), pytest.raises(StorageUnwell, match="in time"):
        far.read(messages.latest_seq)
    assert store_inbound(far, inbound("later")) is not None


def test_the_server_ends_waits_and_idle_transactions_by_itself(far: Store) -> None:
    """Also where the client hangs; maintenance has longer statements."""

    def limit(name: str) -> str:
        return str(far.read(lambda tx: tx.execute(text(f"SHOW {name}")).scalar()))

    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    assert [limit(name) for name in names] == ["1500ms", "10s", "3s"]
    with patient(60.0):
        assert [limit(name) for name in names] == ["1500ms", "1min", "1min"]
    assert [limit(name) for name in names] == ["1500ms", "10s", "3s"]


def test_a_connection_that_the_server_has_closed_is_not_used_for_a_write(
    postgres_url: str, tmp_path: Path
) -> None:
    stores = [Store(postgres_url, tmp_path / name) for name in ("one", "two")]
    store_inbound(stores[0], inbound("before"))
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def ask(query: str) -> int:
        return len(stores[1].read(lambda tx: tx.execute(text(f"{query} {others}")).fetchall()))

    assert ask("SELECT pg_terminate_backend(pid)") > 0
    eventually(lambda: not ask("SELECT pid"))
    assert store_inbound(stores[0], inbound("after")) is not None
    for store in stores:
        store.close()


def test_a_commit_without_an_answer_may_be_repeated(far: Store, proxy: DatabaseProxy) -> None:
    proxy.lose_every = 1
    with pytest.raises(StorageUnwell):
        store_inbound(far, inbound("x"))
    proxy.lose_every = 0
    assert store_inbound(far, inbound("x")) is None, "it was kept the first time"
    assert len(far.read(lambda tx: messages.find(tx, limit=9))) == 1


# SQLite: processes that hang while they write

HOLD = """
import sys, time
from pathlib import Path
from services.store.database.write_lock import WriteLock
with WriteLock(Path(sys.argv[1]) / "write.lock").held(5.0, float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def lock_holder(folder: Path, allowed: float) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the write lock and does not give it back."""
    process = subprocess.Popen(
        ends_with_parent(sys.executable, "-c", HOLD, str(folder), str(allowed)),
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Store]:
    store = impatient(Store(None, tmp_path))
    store.migrate()
    yield store
    store.close()


def is_written(store: Store) -> bool:
    try:
        return store.write(messages.next_seq) > 0
    except StorageUnwell:
        return False


def test_a_stopped_process_that_holds_the_write_lock_is_killed(near: Store, tmp_path: Path) -> None:
    with lock_holder(tmp_path, 600.0) as holder:
        holder.send_signal(signal.SIGSTOP)
        eventually(lambda: is_written(near))
        assert holder.wait(PATIENCE) == -signal.SIGKILL


def test_a_process_that_holds_the_write_lock_for_longer_than_allowed_is_killed(
    near: Store, tmp_path: Path
) -> None:
    with lock_holder(tmp_path, 0.5) as holder:
        eventually(lambda: is_written(near))
        assert holder.wait(PATIENCE) == -signal.SIGKILL


def test_a_process_that_may_still_hold_the_write_lock_is_not_killed(
    near: Store, tmp_path: Path
) -> None:
    with lock_holder(tmp_path, 600.0) as holder:
        with pytest.raises(StorageUnwell, match="Another process"):
            near.write(messages.next_seq)
        assert holder.poll() is None


# SQLite: the file in its place


def test_a_database_that_was_removed_takes_nothing_until_it_is_back(
    near: Store, tmp_path: Path
) -> None:
    store_inbound(near, inbound("before"))
    file, away = tmp_path / "textbridge.db", tmp_path / "away"
    file.rename(away)
    for _ in range(2):
        with pytest.raises(StorageUnwell, match="removed or replaced"):
            store_inbound(near, inbound("meanwhile"))
    assert not file.exists(), "nor was an empty database put in its place"
    away.rename(file)
    assert store_inbound(near, inbound("after")) is not None


def test_no_further_connection_makes_a_new_database_in_its_place(
    near: Store, tmp_path: Path
) -> None:
    store_inbound(near, inbound("before"))
    file, away = tmp_path / "textbridge.db", tmp_path / "away"
    file.rename(away)

    def connect_often() -> None:
        with ExitStack() as opened:
            for _ in range(10):  # more than the pool has
                opened.enter_context(near.engine.connect())

    with pytest.raises(StorageUnwell, match="removed or replaced"):
        connect_often()
    assert not file.exists()
    away.rename(file)


def test_another_database_in_its_place_is_not_written_to(near: Store, tmp_path: Path) -> None:
    store_inbound(near, inbound("before"))
    file = tmp_path / "textbridge.db"
    shutil.copy(file, tmp_path / "copy")
    (tmp_path / "copy").rename(file)
    before = file.read_bytes()
    with pytest.raises(StorageUnwell, match="start Textbridge again"):
        store_inbound(near, inbound("meanwhile"))
    with pytest.raises(StorageUnwell, match="removed or replaced"):
        near.require_file()
    assert file.read_bytes() == before


def test_the_health_check_names_a_replaced_database_at_once(
    make_gateway: Callable[..., object], tmp_path: Path
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    assert "removed or replaced" not in database_check(gateway)
    (tmp_path / "textbridge.db").rename(tmp_path / "away")
    assert "removed or replaced" in database_check(gateway)
    (tmp_path / "away").rename(tmp_path / "textbridge.db")


def database_check(gateway: object) -> str:
    checks = gateway.health.checks()  # type: ignore[attr-defined]
    return str(next(check.reason for check in checks if check.name == "database"))


# SQLite: little space


def test_the_log_is_emptied_where_the_disk_is_nearly_full(
    near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "textbridge.db-wal"
    store_inbound(near, inbound("x" * 100))
    assert log.stat().st_size > 0
    full = os.statvfs(tmp_path)
    fields = [*full]
    fields[4] = 0  # free blocks
    monkeypatch.setattr(
        "services.store.database.sqlite_files.os.statvfs", lambda _: os.statvfs_result(fields)
    )
    monkeypatch.setattr(sqlite_files, "LOOK_SECONDS", 0.0)
    near._writer._tidy.__self__._next_look = 0.0  # type: ignore[attr-defined]
    store_inbound(near, inbound("y"))
    assert log.stat().st_size == 0
    assert len(near.read(lambda tx: messages.find(tx, limit=9))) == 2


def test_the_limits_of_a_web_process_are_below_the_three_seconds_of_carriers() -> None:
    assert time_limits.QUEUE_SECONDS + time_limits.WRITE_SECONDS < 3.0
    assert time_limits.CALL_SECONDS < 3.0
    with within(1.0), patient(60.0), time_limits.operation(2.0):
        assert time_limits.left() <= 1.0, "patience does not extend the time of a call"
    start = time.monotonic()
    with time_limits.operation(2.0), time_limits.shorter(0.5):
        assert time_limits.left() <= 0.5 + time.monotonic() - start

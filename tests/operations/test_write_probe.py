"""The write probe of /ready: many callers cost few durable writes, and a bad disk is noticed."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from services.core.errors import StorageUnwell
from services.operations.write_probe import VALID_SECONDS, WriteProbe
from services.store.database.store import Store
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.databases import add_tables


class Database:
    """A store that counts its writes, refuses them, or lets them wait."""

    def __init__(self) -> None:
        self.writes = 0
        self.is_well = True
        self.may_end = threading.Event()
        self.may_end.set()

    def write(self, _: Callable[..., Any]) -> None:
        self.writes += 1
        assert self.may_end.wait(30)
        if not self.is_well:
            raise StorageUnwell("The disk is read-only.")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def probe(database: Database, clock: Clock) -> WriteProbe:
    store: Any = database
    return WriteProbe(store, clock)


def test_a_success_counts_for_some_seconds(
    probe: WriteProbe, database: Database, clock: Clock
) -> None:
    assert {probe.problem() for _ in range(100)} == {""}
    assert database.writes == 1
    clock.now += VALID_SECONDS
    assert probe.problem() == ""
    assert database.writes == 2


def test_a_disk_that_turns_bad_is_noticed_when_the_success_is_too_old(
    probe: WriteProbe, database: Database, clock: Clock
) -> None:
    assert probe.problem() == ""
    database.is_well = False
    clock.now += VALID_SECONDS
    assert "read-only" in probe.problem()
    database.is_well = True
    assert probe.problem() == "", "a failure is tried again at once"


def test_callers_at_the_same_time_share_an_attempt_that_fails(
    probe: WriteProbe, database: Database
) -> None:
    """Each attempt at a hung disk takes seconds: they must not queue up behind each other."""
    database.is_well = False
    database.may_end.clear()
    together = threading.Barrier(20)

    def ask() -> str:
        together.wait(30)
        return probe.problem()

    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask) for _ in range(20)]
        time.sleep(0.5)
        database.may_end.set()
        assert all("read-only" in each.result(30) for each in asked)
    assert database.writes <= 2


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    add_tables(tmp_path)
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)})
    yield app
    app.extensions["gateway"].close()


def test_ready_is_no_durable_write_for_everybody_who_asks(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[object] = []
    write = Store.write

    def counted(self: Store, work: Any, **options: Any) -> Any:
        writes.append(work)
        return write(self, work, **options)

    monkeypatch.setattr(Store, "write", counted)
    client = app.test_client()
    for n in range(20):
        client.get("/ready", environ_base={"REMOTE_ADDR": f"9.9.9.{n}"})
        client.get("/metrics")
    assert len(writes) == 1

"""Shared fixtures: databases of both kinds, a gateway, no connection out of this machine."""

import ipaddress
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from gevent import monkey

from blueprints.api.changes import ChangeLog
from services.gateway import Gateway, load_environment
from services.store.database.time_limits import TimeLimits
from tests.databases import add_tables, postgres_template
from tests.fakes.receiver import Receiver
from tests.postgres import drop_database, new_database, programs, running_postgres
from tests.processes import end_with_parent

NUMBER = "+12025550100"
PEER = "+13035550177"
ENGINES = ["sqlite", "postgresql"]
# What all tests of a package or module are marked with.
MARKERS = {
    "tests.browser": pytest.mark.browser,
    "tests.e2e": pytest.mark.processes,
    "tests.torture": pytest.mark.faults,
}
# Tests with these markers are tried once more; the summary names each test that needed it.
TRIED_AGAIN = ("browser", "processes", "faults")


def pytest_configure(config: pytest.Config) -> None:
    """A worker of pytest-xdist ends with the process that started it, and so do its servers."""
    if hasattr(config, "workerinput"):
        end_with_parent()


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of whole packages, and those that are tried once more.

    Raises ``UsageError`` where a module that was collected has let gevent patch the process: its
    threads would be greenlets, which wait for ever for what is not patched.
    """
    if monkey.is_module_patched("threading"):
        raise pytest.UsageError(
            "A collected module imports wsgi.py, which lets gevent patch threads."
        )
    for item in items:
        name = item.module.__name__ if isinstance(item, pytest.Function) else ""
        for prefix, marker in MARKERS.items():
            if f"{name}.".startswith(f"{prefix}."):
                item.add_marker(marker)
        if any(map(item.get_closest_marker, TRIED_AGAIN)):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def _no_outside_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test does may leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"A test wanted to connect to {address[0]}.")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which many tests run at once is slow; that is nothing to refuse a text for."""
    for limit in ("queue", "write", "read"):
        monkeypatch.setattr(TimeLimits, limit, 30.0)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The maintenance database of a PostgreSQL server of the tests' own."""
    if programs() is None:
        pytest.skip("PostgreSQL's server programs are not installed (package postgresql).")
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """A PostgreSQL database with all tables."""
    url = new_database(postgres, postgres_template(postgres))
    yield url
    drop_database(postgres, url)


@pytest.fixture
def empty_postgres_url(postgres: str) -> Iterator[str]:
    """A PostgreSQL database without tables."""
    url = new_database(postgres)
    yield url
    drop_database(postgres, url)


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """``DATABASE_URL`` of a database with all tables: everything that uses this runs on both.

    It is empty for SQLite, whose file is in ``tmp_path`` then.
    """
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    add_tables(tmp_path)
    return ""


@pytest.fixture(params=ENGINES)
def empty_database(request: pytest.FixtureRequest) -> str:
    """``DATABASE_URL`` as ``database``, of a database without tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("empty_postgres_url"))
    return ""


def settings_file(*numbers: Mapping[str, Any]) -> str:
    """The content of a Message Settings file."""
    return json.dumps({"version": 1, "numbers": list(numbers)})


def changes(gateway: Gateway) -> ChangeLog:
    """What ``/api/v1/sync`` reads from."""
    return ChangeLog(gateway.store, gateway.access, gateway.media)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes signed webhook pushes."""
    with Receiver() as running:
        yield running


# Automatic texts do not wait for the recipient's hours, at whatever time the tests run.
AT_ANY_HOUR = {"SCHEDULED_US_HOURS": "false"}
NUMBER_ENTRY = {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]}


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Open gateways on this test's folder; ``numbers`` are entries of Message Settings."""
    opened = []

    def make(*numbers: Mapping[str, Any], **env: str) -> Gateway:
        path = tmp_path / "message_settings.json"
        if numbers:
            path.write_text(settings_file(*numbers), encoding="utf-8")
        add_tables(tmp_path)
        gateway = Gateway(
            load_environment(
                {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), **AT_ANY_HOUR, **env}
            )
        )
        gateway.prepare()
        opened.append(gateway)
        return gateway

    yield make
    for gateway in opened:
        gateway.close()

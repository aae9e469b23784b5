"""What the tests share: databases of both kinds, a gateway, and a wall around this machine."""

import ipaddress
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from blueprints.api.changes import ChangeLog
from services.gateway import Gateway, load_environment
from tests.postgres import new_database, programs, running_postgres

NUMBER = "+12025550100"
PEER = "+13035550177"
OF_MANY_PROCESSES = ("tests.browser.", "tests.e2e.", "tests.test_torture")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try once more what drives browsers and servers; the summary names each that needed it."""
    for item in items:
        if isinstance(item, pytest.Function) and item.module.__name__.startswith(OF_MANY_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def _wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test does may leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"A test wanted to connect to {address[0]}.")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The maintenance database of a PostgreSQL server of the tests' own."""
    if programs() is None:
        pytest.skip("PostgreSQL's server programs are not installed (package postgresql).")
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """An empty PostgreSQL database."""
    return new_database(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """``DATABASE_URL`` for each engine: everything that uses this runs on both."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return ""


def settings_file(*numbers: Mapping[str, Any]) -> str:
    """The content of a Message Settings file."""
    return json.dumps({"version": 1, "numbers": list(numbers)})


def changes(gateway: Gateway) -> ChangeLog:
    """What ``/api/v1/sync`` reads from."""
    return ChangeLog(gateway.store, gateway.settings, gateway.media)


DESK = {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]}


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Open gateways on this test's folder; ``numbers`` are entries of Message Settings."""
    opened = []

    def make(*numbers: Mapping[str, Any], **env: str) -> Gateway:
        path = tmp_path / "message_settings.json"
        if numbers:
            path.write_text(settings_file(*numbers), encoding="utf-8")
        gateway = Gateway(
            load_environment({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), **env})
        )
        gateway.prepare()
        opened.append(gateway)
        return gateway

    yield make
    for gateway in opened:
        gateway.close()

"""The service in the test process, and phones of its extensions that call its API."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from services.gateway import Gateway
from services.store import devices
from tests.conftest import AT_ANY_HOUR, PEER, settings_file
from tests.databases import add_tables

MINE = "+12025550101"  # of 201
THEIRS = "+12025550102"  # of 202
SHARED = "+12025550103"  # of both
API = "/api/v1"
SETTINGS = (
    {"number": MINE, "carrier": "sandbox", "extensions": ["201"], "description": "Front desk"},
    {"number": THEIRS, "carrier": "sandbox", "extensions": ["202"]},
    {"number": SHARED, "carrier": "sandbox", "extensions": ["201", "202"]},
)
_ids = itertools.count(1)


@dataclass
class Phone:
    """A paired device; its calls carry its token."""

    client: FlaskClient
    id: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.client.open(API + path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("POST", path, json=json, **options)

    def read(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer of a GET that must succeed."""
        answer = self.get(path, query_string=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json or {})

    def send(self, **asked: Any) -> dict[str, Any]:
        """The message that a POST makes, which must succeed."""
        answer = self.post("/messages", {"text": "hello", **asked})
        assert answer.status_code == 202, answer.text
        return dict(answer.json or {})


@dataclass
class Service:
    """The application in the test process, and carriers that send webhooks to it."""

    app: Flask
    gateway: Gateway

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def pair(self, extension: str, name: str = "Phone") -> Phone:
        code = self.gateway.store.write(lambda tx: devices.add_pairing(tx, extension))
        asked = {"code": code, "device": {"name": name, "platform": "android"}}
        answer = self.client.post(f"{API}/pair", json=asked)
        assert answer.status_code == 201, answer.text
        told: Any = answer.json
        return Phone(self.client, told["device_id"], told["token"])

    def webhook(self, event: Mapping[str, Any]) -> None:
        url = self.gateway.providers["sandbox"].webhook_url
        answer = self.client.post(url[url.index("/webhook") :], json=dict(event))
        assert answer.status_code == 200, answer.text
        self.gateway.processor.process_all()

    def receive(self, to: str = MINE, text: str = "hi", **event: Any) -> str:
        """A text arrives; returns the carrier's id."""
        event = {"id": f"x{next(_ids)}", "from": PEER, "to": to, "text": text, **event}
        self.webhook(event)
        return str(event["id"])


def open_service(folder: Path, **env: str) -> Service:
    (folder / "message_settings.json").write_text(settings_file(*SETTINGS), "utf-8")
    add_tables(folder)
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(folder), **AT_ANY_HOUR, **env})
    return Service(app, app.extensions["gateway"])


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Open services on this test's folder, also on another database."""
    opened = []

    def make(**env: str) -> Service:
        opened.append(open_service(tmp_path, **env))
        return opened[-1]

    yield make
    for service in opened:
        service.gateway.close()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module that leave nothing behind."""
    service = open_service(tmp_path_factory.mktemp("standing"))
    yield service
    service.gateway.close()


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()


@pytest.fixture
def service_on_each_database(make_service: Callable[..., Service], database: str) -> Service:
    """The service on SQLite and then on PostgreSQL."""
    return make_service(DATABASE_URL=database)


@pytest.fixture
def phone(service: Service) -> Phone:
    """A phone of extension 201."""
    return service.pair("201")


@pytest.fixture
def other(service: Service) -> Phone:
    """A phone of extension 202."""
    return service.pair("202")

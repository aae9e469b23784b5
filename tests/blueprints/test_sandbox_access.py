"""The sandbox answers this machine only, and its device tokens end with it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from services.gateway import Gateway
from services.store import devices
from tests.databases import add_tables

PRODUCTION = {"APP_ENV": "production", "APP_KEY": "a key of the tests, long enough"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
Make = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Make]:
    opened: list[Gateway] = []

    def make(**env: str) -> Flask:
        add_tables(tmp_path)
        key = {"APP_KEY": PRODUCTION["APP_KEY"]}
        app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), **key, **env})
        opened.append(app.extensions["gateway"])
        return app

    yield make
    for gateway in opened:
        gateway.close()


def calls(app: Flask, peer: str, headers: Mapping[str, str]) -> dict[str, int]:
    """The status of each address of the sandbox for a caller."""
    client, here = app.test_client(), {"REMOTE_ADDR": peer}
    token = app.extensions["gateway"].providers["sandbox"].webhook_token
    event = {"id": "1", "from": "+13035550177", "to": "+12025550100", "text": "x"}
    answers = {
        "page": client.get("/sandbox", headers=headers, environ_base=here),
        "file": client.get("/sandbox/static/sandbox.js", headers=headers, environ_base=here),
        "session": client.post(
            "/sandbox/session", json={}, headers={**OWN_PAGE, **headers}, environ_base=here
        ),
        "phone": client.get(
            "/sandbox/phone?number=%2B13035550177",
            headers={"Authorization": f"Bearer {token}", **headers},
            environ_base=here,
        ),
        "webhook": client.post(
            f"/webhook/sandbox/sms?token={token}", json=event, headers=headers, environ_base=here
        ),
    }
    told = {name: answer.status_code for name, answer in answers.items()}
    for answer in answers.values():
        answer.close()
    return told


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_uses_it(make_app: Make, peer: str) -> None:
    assert set(calls(make_app(), peer, {}).values()) == {200}


@pytest.mark.parametrize(
    ("peer", "headers", "env"),
    [
        ("192.168.1.7", {}, {}),
        ("203.0.113.9", {}, {}),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, {}),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, {}),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, {"TRUSTED_PROXIES": "127.0.0.1"}),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, {}),
        ("127.0.0.1", {"X-Real-IP": "127.0.0.1"}, {}),
        ("203.0.113.9", {"X-Forwarded-For": "127.0.0.1"}, {}),
    ],
)
def test_nobody_else_does(
    make_app: Make, peer: str, headers: dict[str, str], env: dict[str, str]
) -> None:
    app = make_app(**env)
    assert set(calls(app, peer, headers).values()) == {403}
    assert app.extensions["gateway"].store.read(devices.of) == []
    answer = app.test_client().get("/sandbox", headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert "this machine only" in answer.text
    assert "http://127.0.0.1:8000/sandbox" in answer.text
    start = app.test_client().get("/", headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert start.status_code == 200, "the start page does not lead there"


def test_its_picture_is_fetched_on_this_machine(make_app: Make) -> None:
    app = make_app(APP_URL="https://sms.example.com")
    made: Any = app.test_client().post("/sandbox/session", json={}, headers=OWN_PAGE).json
    assert made["picture"].startswith("http://127.0.0.1:8000/")
    assert app.extensions["gateway"].providers["sandbox"].media_headers(made["picture"]) == {}


def test_its_tokens_end_when_it_is_off(make_app: Make) -> None:
    app = make_app()
    store = app.extensions["gateway"].store
    new: Any = app.test_client().post("/sandbox/session", json={}, headers=OWN_PAGE).json
    _, old = store.write(lambda tx: devices.add(tx, "201", "Sandbox", platform="web"))
    _, phone = store.write(lambda tx: devices.add(tx, "201", "Phone", platform="web"))
    _, named = store.write(lambda tx: devices.add(tx, "201", "Sandbox", platform="android 14"))

    def status(app: Flask, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return app.test_client().get("/api/v1/me", headers=headers).status_code

    tokens = (new["token"], old, phone, named)
    assert [status(make_app(), token) for token in tokens] == [200] * 4
    in_service = make_app(**PRODUCTION)
    assert [status(in_service, token) for token in tokens] == [401, 401, 200, 200]
    assert [status(app, token) for token in tokens] == [401, 401, 200, 200], "also elsewhere"

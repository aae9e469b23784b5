"""Proxies that are noticed although they add no header that says who calls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from app import create_app
from services.gateway import Gateway
from tests.databases import add_tables
from tests.server import running_server
from tests.waiting import PATIENCE

PASSWORD = "correct horse"
AUTH = ("admin", PASSWORD)
SECRETIVE = [
    {"headers": {"Host": "sms.example.com"}},  # nginx with proxy_set_header Host $host
    {"headers": {"Host": "192.0.2.7:8000"}},
    {"headers": {"Host": ""}},
    {"headers": {"Host": "127.0.0.1.evil.example"}},  # DNS rebinding
    {"environ_overrides": {"SERVER_PROTOCOL": "HTTP/1.0"}},  # nginx with proxy_pass alone
    *(
        {"headers": {name: "192.0.2.1"}}
        for name in (
            *("X-Forwarded", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Ssl"),
            *("X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
            *("Fly-Client-IP", "X-Original-Forwarded-For", "X-Envoy-External-Address", "CDN-Loop"),
        )
    ),
]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    add_tables(tmp_path)
    env = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), "ADMIN_PASSWORD": PASSWORD}
    made = create_app({**env, "ADMIN_ALLOW": "127.0.0.1", "APP_URL": "https://sms.example.com"})
    yield made
    gateway: Gateway = made.extensions["gateway"]
    gateway.close()


def warned(app: Flask) -> list[str]:
    told: Any = app.test_client().get("/ready").json
    return [each["reason"] for each in told["warnings"] if each["name"] == "proxy"]


@pytest.mark.parametrize("call", SECRETIVE, ids=str)
def test_behind_a_proxy_that_does_not_say_who_calls_nobody_is_local(
    app: Flask, call: dict[str, Any]
) -> None:
    client = app.test_client()
    assert client.get("/sandbox", **call).status_code == 403
    assert client.get("/metrics", auth=AUTH, **call).status_code == 403
    assert client.get("/admin/sign-in", **call).status_code == 403
    assert "checks" not in client.get("/ready", auth=AUTH, **call).text
    assert "TRUSTED_PROXIES=127.0.0.1" in warned(app)[0]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "0.0.0.0:8000"],
)
def test_by_its_own_names_this_machine_is_local(app: Flask, host: str) -> None:
    client, headers = app.test_client(), {"Host": host}
    assert client.get("/sandbox", headers=headers).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    assert warned(app) == []


def test_from_elsewhere_any_name_will_do(app: Flask) -> None:
    """Who connects to Textbridge itself asks for its public name."""
    answer = app.test_client().get(
        "/up", headers={"Host": "sms.example.com"}, environ_base={"REMOTE_ADDR": "9.9.9.9"}
    )
    assert answer.status_code == 200
    assert warned(app) == []


@pytest.mark.processes
def test_a_server_tells_such_a_proxy_from_this_machine(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        address = f"http://127.0.0.1:{server.port}/metrics"
        assert requests.get(address, timeout=PATIENCE).status_code == 200
        headers = {"Host": "sms.example.com"}
        assert requests.get(address, headers=headers, timeout=PATIENCE).status_code == 403

"""Bodies of requests: limited in size and total time, and read only where the caller is known."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.exceptions import RequestTimeout

from app import create_app
from blueprints import request_body
from blueprints.api.declare import MOST_FILE, MOST_JSON
from blueprints.request_body import BODY_SECONDS, UNPROVEN_BYTES, CheckedBody, most_seconds
from services.core.errors import InvalidWebhook
from services.core.messages import Message, WebhookCall
from services.gateway import Gateway
from services.providers.base import Provider
from tests.databases import add_tables
from tests.payload_files import carriers, provider


class UnfinishedBody(BytesIO):
    """A body whose end never comes; whether it was read is in ``was_read``."""

    was_read = False

    def read(self, size: int | None = -1) -> bytes:
        self.was_read = True
        raise AssertionError("the body was read")

    def readinto(self, buffer: object) -> int:
        self.read()
        return 0


class SlowBody(BytesIO):
    """A body of which nothing comes for a long time; then it ends, so that a test does as well."""

    def read(self, size: int | None = -1) -> bytes:
        for _ in range(2500):
            gevent.sleep(0.002)
        return b""

    def readinto(self, buffer: object) -> int:
        return len(self.read())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    add_tables(tmp_path)
    env = {"APP_ENV": "local", "ADMIN_PASSWORD": "a good password"}
    app = create_app({**env, "STORAGE_PATH": str(tmp_path)})
    yield app.test_client()
    app.extensions["gateway"].close()


def call(client: FlaskClient, path: str, body: BytesIO, **more: Any) -> tuple[int, str]:
    announced = {"CONTENT_LENGTH": str(more.pop("length", 5000))}
    answer = client.post(path, input_stream=body, environ_overrides=announced, **more)
    return answer.status_code, answer.text


def test_a_body_has_a_total_time() -> None:
    body = CheckedBody(SlowBody(), 0.05)
    with pytest.raises(RequestTimeout, match="too long"):
        body.read()
    with pytest.raises(RequestTimeout):
        body.read(1)
    assert CheckedBody(BytesIO(b"whole"), 60).read() == b"whole"


def test_a_large_body_has_more_time() -> None:
    assert BODY_SECONDS < most_seconds(UNPROVEN_BYTES) < 25
    assert most_seconds(MOST_FILE) == 270


def test_a_body_that_takes_too_long_is_answered_408(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blueprints.request_body.BODY_SECONDS", -1)
    status, text = call(client, "/api/v1/pair", SlowBody(), content_type="application/json")
    assert (status, '"code": "timeout"' in text) == (408, True)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/webhook/sandbox/sms", {}, 401),
        ("/webhook/sandbox/sms?token=wrong", {}, 401),
        ("/webhook/ringotel/wrong", {}, 404),
        ("/api/v1/media", {}, 401),
        ("/api/v1/media", {"Authorization": "Bearer wrong"}, 401),
        ("/api/v1/messages", {"Authorization": "Bearer wrong"}, 401),
        ("/api/v1/message-settings", {"Authorization": "Basic d3Jvbmc6d3Jvbmc="}, 401),
        ("/admin/settings/import", {}, 303),
        ("/nothing", {}, 404),
    ],
)
def test_a_stranger_is_refused_before_the_body(
    client: FlaskClient, path: str, headers: dict[str, str], status: int
) -> None:
    body = UnfinishedBody()
    answered, _ = call(client, path, body, headers=headers, content_type="application/json")
    assert not body.was_read
    assert answered in (status, 405)


def test_no_route_reads_a_large_body_of_a_stranger(client: FlaskClient) -> None:
    read, tried = [], 0
    for rule in client.application.url_map.iter_rules():
        path = re.sub(r"<uuid:\w+>", "01a22b83-df54-7800-aab4-0a6a33614759", rule.rule)
        for method in (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}:
            tried += 1
            body = UnfinishedBody()
            client.open(
                re.sub(r"<[^>]+>", "1", path),
                method=method,
                input_stream=body,
                content_type="application/json",
                environ_overrides={
                    "CONTENT_LENGTH": "20000000",
                    "REMOTE_ADDR": "198.51.100.1",
                },
            )
            if body.was_read:
                read.append((method, rule.rule))
    assert (read, tried > 60) == ([], True)


def test_a_stranger_sends_small_bodies_only(client: FlaskClient) -> None:
    for path, kind in (
        ("/api/v1/pair", "application/json"),
        ("/admin/sign-in", "application/x-www-form-urlencoded"),
    ):
        more = {"length": UNPROVEN_BYTES + 1, "content_type": kind}
        assert call(client, path, UnfinishedBody(), **more)[0] == 413
    assert UNPROVEN_BYTES < MOST_JSON


def test_a_route_that_sets_no_limit_takes_small_bodies_only() -> None:
    app = Flask(__name__)
    request_body.register(app)

    @app.post("/")
    def count() -> str:
        return str(len(request.get_data()))

    most = b"x" * UNPROVEN_BYTES
    assert app.test_client().post("/", data=most).text == str(UNPROVEN_BYTES)
    assert app.test_client().post("/", data=most + b"x").status_code == 413


def test_few_large_bodies_of_strangers_are_read_at_once(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "_large_bodies", threading.Semaphore(0))
    large = {"length": UNPROVEN_BYTES + 1}
    assert call(client, "/acrobits/send", UnfinishedBody(), **large)[0] == 503
    small = b"username=201&password=wrong"
    assert call(client, "/acrobits/send", BytesIO(small), length=len(small))[0] == 401


def inbound(carrier: str) -> tuple[Provider, WebhookCall]:
    by = provider(carrier)
    message = Message(direction="in", number="+12025550143", peer="+13035550177", text="hello")
    return by, by.inbound_call(message)


@pytest.mark.parametrize("carrier", sorted(carriers()))
def test_no_carrier_is_let_in_without_any_proof(carrier: str) -> None:
    by, bare = inbound(carrier)
    with pytest.raises(InvalidWebhook):
        by.verify_head(replace(bare, body=b""))
    needs_body = any("body" in proof.covers for proof in by.proofs)
    assert (by.most_body_bytes == by.webhook_bytes) is not needs_body
    if needs_body:
        assert by.most_body_bytes <= 100_000


@pytest.mark.parametrize("carrier", sorted(carriers()))
def test_each_proof_is_enough_to_be_heard(carrier: str) -> None:
    by, bare = inbound(carrier)
    for proof in by.proofs:
        if not proof.foreign_key:
            by.verify_head(replace(proof.sign(bare), body=b""))
            by.verify(proof.sign(bare))


def test_the_allow_list_comes_before_the_body(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(SANDBOX_WEBHOOK_ALLOW="10.9.9.9")
    by = gateway.providers["sandbox"]
    head = WebhookCall("POST", {}, f"token={by.webhook_token}", b"", "127.0.0.1")
    with pytest.raises(InvalidWebhook, match="may not call"):
        gateway.receiver.check_head(by, head)

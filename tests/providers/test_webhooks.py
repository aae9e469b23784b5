"""Webhook endpoints: every payload of every carrier; spoiled proofs, repeats, storage faults."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import create_app
from services.core.messages import Message, Unreadable, WebhookCall, clean
from services.gateway import Gateway
from services.store.database import schema
from tests import payload_files

WEBHOOKS = [*payload_files.cases("receive_*.http"), *payload_files.cases("status_*.http")]
TABLES = (schema.messages, schema.receipts, schema.quarantine, schema.jobs, schema.conversations)

Open = Callable[[str], tuple[FlaskClient, Gateway]]


@pytest.fixture
def opened(database: str, tmp_path: Path) -> Any:
    """Open the application with one carrier's made-up settings."""
    gateways = []

    def open_app(
        carrier: str, more: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[FlaskClient, Gateway]:
        env = {"APP_ENV": "production", "APP_KEY": "a key for the tests of the webhooks"}
        env |= {"STORAGE_PATH": str(tmp_path), "DATABASE_URL": database}
        env["APP_URL"] = payload_files.APP_URL
        app = create_app(env | payload_files.settings(carrier) | dict(more))
        gateway: Gateway = app.extensions["gateway"]
        gateways.append(gateway)
        return app.test_client(), gateway

    yield open_app
    for gateway in gateways:
        gateway.close()


def post(client: FlaskClient, carrier: str, call: WebhookCall) -> Any:
    answer = client.open(
        f"/webhook/{carrier}/sms?{call.query}".rstrip("?"),
        method=call.method,
        headers=list(call.headers.items()),
        data=call.body,
    )
    if answer.status_code < 300:
        client.application.extensions["gateway"].processor.process_all()
    return answer


def counts(gateway: Gateway) -> dict[str, int]:
    return gateway.store.read(
        lambda tx: {
            table.name: int(tx.execute(select(func.count()).select_from(table)).scalar() or 0)
            for table in TABLES
        }
    )


def test_every_payload_is_kept_once_however_often_it_comes(opened: Open, database: str) -> None:
    for carrier in payload_files.carriers():
        client, gateway = opened(carrier)
        provider = gateway.providers[carrier]
        for parameters in WEBHOOKS:
            path = parameters.values[0]
            if path.parent.name != carrier:
                continue
            call = payload_files.fresh(path)
            before = counts(gateway)
            first = post(client, carrier, call)
            assert first.status_code == provider.ack.status, path.name
            assert first.get_data(as_text=True) == provider.ack.body
            parsed = list(provider.parse(call))
            after = counts(gateway)
            unreadable = sum(isinstance(item, Unreadable) for item in parsed)
            quarantined = after["quarantine"] - before["quarantine"]
            new = after["messages"] - before["messages"]
            wanted = sum(isinstance(item, Message) for item in parsed)
            assert quarantined >= unreadable, path.name
            assert new + quarantined - unreadable <= wanted, path.name

            again = post(client, carrier, call)
            assert again.status_code == provider.ack.status
            repeated = counts(gateway)
            for table in ("messages", "receipts", "jobs", "conversations"):
                assert repeated[table] == after[table], f"{path.name} repeated changes {table}"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_call_with_a_spoiled_proof_gets_in(opened: Open, database: str) -> None:
    for carrier in payload_files.carriers():
        client, gateway = opened(carrier)
        challenge = gateway.providers[carrier].challenge
        for path in payload_files.proved_calls(carrier).values():
            for how, call in payload_files.spoiled(path, time.time()).items():
                refused = post(client, carrier, call)
                assert refused.status_code == 401, f"{path}: {how}"
                assert dict(challenge).items() <= dict(refused.headers).items()
        assert counts(gateway) == dict.fromkeys(counts(gateway), 0)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_carrier_that_is_not_configured_is_not_found(opened: Open, database: str) -> None:
    client, _ = opened("bandwidth")
    for path in ("/webhook/sandbox/sms", "/webhook/twilio/sms", "/webhook/nobody/sms"):
        assert client.post(path, data=b"{}").status_code == 404
    assert client.get("/webhook/bandwidth/sms").status_code == 405


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_huge_body_is_refused_before_it_is_read(opened: Open, database: str) -> None:
    client, gateway = opened("bandwidth")
    token = gateway.providers["bandwidth"].webhook_token
    url = f"/webhook/bandwidth/sms?token={token}"
    assert client.post(url, data=b"[" + b" " * 2_000_000 + b"]").status_code == 413


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_storage_that_cannot_keep_it_says_503_and_never_2xx(
    opened: Open, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, gateway = opened("bandwidth")
    call = payload_files.fresh(payload_files.FOLDER / "bandwidth" / "receive_sms.http")
    with gateway.store.engine.connect() as blocker:
        monkeypatch.setattr("services.store.database.engine.BUSY_MILLISECONDS", 50)
        gateway.store.disconnect()
        blocker.execution_options(textbridge_write=True)
        blocker.execute(select(1))
        answer = post(client, "bandwidth", call)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answer.get_json()["code"] == "storage_unwell"
    assert post(client, "bandwidth", call).status_code == 200
    assert counts(gateway)["messages"] == 1


def test_cleaned_text_can_be_kept_by_every_database() -> None:
    assert clean("a\x00b\ud800c") == "a\ufffdb\ufffdc"


ALLOWED = {
    "BANDWIDTH_WEBHOOK_ALLOW": "198.51.100.0/24, 2001:db8::/32",
    "TRUSTED_PROXIES": "127.0.0.1 10.0.0.0/8",
}


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("198.51.100.7", None, 200),
        ("203.0.113.7", None, 401),
        ("203.0.113.7", "198.51.100.7", 401),  # anybody can write the header
        ("127.0.0.1", "198.51.100.7", 200),
        ("127.0.0.1", "198.51.100.7, 203.0.113.7", 401),
        ("127.0.0.1", "203.0.113.7, 198.51.100.7, 10.1.2.3", 200),
        ("127.0.0.1", "nonsense", 401),
        ("127.0.0.1", None, 401),
        ("2001:db8::7", None, 200),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_allow_list_is_understood_behind_a_trusted_proxy_only(
    opened: Any, database: str, peer: str, forwarded: str | None, status: int
) -> None:
    client, _ = opened("bandwidth", ALLOWED)
    request = payload_files.read_request(payload_files.FOLDER / "bandwidth" / "receive_sms.http")
    headers = dict(request.headers) | ({"X-Forwarded-For": forwarded} if forwarded else {})
    answer = client.post(
        request.target, headers=headers, data=request.body, environ_base={"REMOTE_ADDR": peer}
    )
    assert answer.status_code == status

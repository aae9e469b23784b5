"""Inbound texts: received once, routed to their extensions, unassigned or quarantined."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.core.errors import InvalidWebhook, RequestRefused
from services.core.messages import Message, WebhookCall
from services.core.secrets import same_secret
from services.gateway import Gateway
from services.store import quarantine
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import (
    raw_call,
    receive_call,
    receive_text,
    run_due_jobs,
    stored_messages,
    webhook_call,
)

Make = Callable[..., Gateway]


def test_a_text_reaches_the_app_once(make_gateway: Make, receiver: Receiver, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **receiver.env)
    same = webhook_call(gateway)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda _: receive_call(gateway, gateway.providers["sandbox"], same), range(8))
        )
    run_due_jobs(gateway)
    (push,) = receiver.wait_for(1)
    assert push["type"] == "message.received"
    assert push["data"]["extension"] == "201"
    assert push["data"]["unread"] == 1
    message = push["data"]["message"]
    assert (message["from"], message["to"], message["text"]) == (PEER, [NUMBER], "hi")
    assert len(stored_messages(gateway)) == 1
    assert run_due_jobs(gateway) == []


def test_every_extension_of_a_shared_number_gets_a_push(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY | {"extensions": ["201", "202"]}, **receiver.env)
    receive_text(gateway)
    run_due_jobs(gateway)
    assert {p["data"]["extension"] for p in receiver.wait_for(2)} == {"201", "202"}


def test_an_empty_secret_is_never_right() -> None:
    assert not same_secret("", "")
    assert not same_secret("x", "")
    assert same_secret("x", "x")


def test_a_call_with_a_wrong_token_is_refused_and_stores_nothing(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    good = webhook_call(gateway)
    for query in ("", "token=", "token=wrong", good.query[:-1], good.query.upper()):
        forged = WebhookCall(good.method, good.headers, query, good.body)
        with pytest.raises(InvalidWebhook):
            receive_call(gateway, gateway.providers["sandbox"], forged)
    assert stored_messages(gateway) == []


@pytest.mark.parametrize(
    "setting",
    [
        None,
        NUMBER_ENTRY | {"enabled": False},
        NUMBER_ENTRY | {"extensions": []},
    ],
    ids=["not mapped", "disabled", "nobody"],
)
def test_an_unassigned_message_is_kept_and_delivered_once_its_number_has_an_extension(
    make_gateway: Make, receiver: Receiver, setting: dict[str, Any] | None
) -> None:
    gateway = make_gateway(*([setting] if setting else []), **receiver.env)
    receive_text(gateway, "first")
    receive_text(gateway, "second")
    assert run_due_jobs(gateway) == []
    assert [m.routed for m in stored_messages(gateway)] == [False, False]
    assert gateway.router.route_waiting() == 0
    gateway.settings.put(NUMBER_ENTRY)
    assert gateway.router.route_waiting() == 2
    run_due_jobs(gateway)
    assert [p["data"]["message"]["text"] for p in receiver.wait_for(2)] == ["first", "second"]
    assert gateway.router.route_waiting() == 0


def test_an_unreadable_call_is_quarantined_and_acknowledged(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    for body in (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"to": 1}', b"[" * 100_000, b"\x00"):
        assert receive_call(gateway, provider, raw_call(gateway, body)) == provider.ack
    waiting = gateway.store.read(quarantine.waiting)
    assert len(waiting) == 8
    assert all(provider.webhook_token not in row.query for row in waiting)
    assert stored_messages(gateway) == []


def test_an_invalid_number_goes_to_quarantine(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    receive_call(
        gateway, provider, raw_call(gateway, b'{"id": "1", "from": "12025550100", "to": "+++"}')
    )
    (row,) = gateway.store.read(quarantine.waiting)
    assert row.reason == "“+++” is not a phone number."


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "“event” is not an object."),
        (b'{"ID": "1"}', "'from' is missing."),
        (b'{"receipt": "1", "status": ["x"]}', "“status” is none of delivered, failed, "),
    ],
)
def test_a_call_of_another_shape_is_told_in_words(
    make_gateway: Make, body: bytes, reason: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_call(gateway, gateway.providers["sandbox"], raw_call(gateway, body))
    (row,) = gateway.store.read(quarantine.waiting)
    assert row.reason.startswith(f"This is no event of the sandbox: {reason}")


def test_a_quarantined_call_is_read_once_the_cause_is_gone(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    receive_call(gateway, provider, raw_call(gateway, b'{"ID": "1"}'))
    (row,) = gateway.store.read(quarantine.waiting)
    with pytest.raises(RequestRefused, match="no event of the sandbox"):
        gateway.replay.replay(row.id)
    newer = [Message(direction="in", number=NUMBER, peer=PEER, provider_id="1")]
    monkeypatch.setattr(provider, "parse", lambda _call: newer)
    assert [outcome for outcome, _ in gateway.replay.replay(row.id)] == ["received"]
    assert gateway.store.read(quarantine.waiting) == []
    with pytest.raises(RequestRefused, match="no such unreadable carrier message"):
        gateway.replay.replay(row.id)

"""Sends without an answer are settled by asking the carrier."""

from collections.abc import Callable
from typing import Any

import pytest

from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from tests.conftest import DESK, PEER
from tests.message_steps import PHONE, failing, jobs_of, make_due, one, work

Make = Callable[..., Gateway]


def told(message: Message, status: Status = Status.DELIVERED) -> DeliveryStatus:
    return DeliveryStatus(
        status, f"list:{status}", provider_id=f"id-{message.id}", peer=message.peer
    )


def unknown_send(gateway: Gateway) -> Message:
    failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    assert one(gateway, message).status is Status.UNKNOWN
    return message


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the sandbox answer questions about messages, as real carriers do."""

    def answers(gateway: Gateway, *answers: Any) -> None:
        provider = gateway.providers["sandbox"]
        left = list(answers)
        monkeypatch.setattr(type(provider), "lookup_seconds", 3600.0)
        monkeypatch.setattr(provider, "find_sent", lambda _message: left.pop(0), raising=False)

    return answers


def test_a_doubtful_send_is_settled_by_asking_the_carrier(make_gateway: Make, asked: Any) -> None:
    gateway = make_gateway(DESK)
    asked(gateway)
    message = unknown_send(gateway)
    asked(gateway, None, told(message))
    for _ in range(2):
        make_due(gateway)
        work(gateway)
    assert one(gateway, message).status is Status.DELIVERED
    assert {job.state for job in jobs_of(gateway, message) if job.kind == "reconcile"} == {"done"}


def test_what_the_carrier_has_no_trace_of_is_left_to_a_person(
    make_gateway: Make, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK)
    asked(gateway)
    message = unknown_send(gateway)
    asked(gateway, None)
    monkeypatch.setattr(type(gateway.providers["sandbox"]), "lookup_seconds", 0.0001)
    make_due(gateway)
    work(gateway)
    make_due(gateway)
    assert work(gateway) == []
    assert one(gateway, message).status is Status.UNKNOWN


def test_another_messages_trace_settles_nothing(make_gateway: Make, asked: Any) -> None:
    gateway = make_gateway(DESK)
    asked(gateway)
    message = unknown_send(gateway)
    failing(gateway)
    other, _ = gateway.composer.submit(PHONE, Reply(text="y", to=(PEER,)))
    work(gateway)
    asked(gateway, told(one(gateway, other)))
    make_due(gateway)
    work(gateway)
    assert one(gateway, message).status is Status.UNKNOWN


def test_a_carrier_without_receipts_is_asked_until_the_end(
    make_gateway: Make, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    monkeypatch.setattr(type(provider), "receipts", False)
    failing(gateway)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    asked(gateway, told(message, Status.SENT), told(message, Status.DELIVERED))
    for _ in range(3):
        work(gateway)
        make_due(gateway)
    assert one(gateway, message).status is Status.DELIVERED

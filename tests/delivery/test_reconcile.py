"""Sends without an answer are settled by asking the carrier."""

from collections.abc import Callable
from typing import Any

import pytest

from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from tests.conftest import NUMBER_ENTRY, PEER
from tests.message_steps import PHONE, failing, jobs_of, make_due, run_due_jobs, stored

Make = Callable[..., Gateway]


def listed_status(message: Message, status: Status = Status.DELIVERED) -> DeliveryStatus:
    return DeliveryStatus(
        status, f"list:{status}", provider_id=f"id-{message.id}", peer=message.peer
    )


def unknown_send(gateway: Gateway) -> Message:
    failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    run_due_jobs(gateway)
    assert stored(gateway, message).status is Status.UNKNOWN
    return message


@pytest.fixture
def carrier_list(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the sandbox answer questions about messages, as real carriers do."""

    def answers(gateway: Gateway, *answers: Any) -> None:
        provider = gateway.providers["sandbox"]
        left = list(answers)
        monkeypatch.setattr(type(provider), "lookup_seconds", 3600.0)
        monkeypatch.setattr(provider, "find_sent", lambda _message: left.pop(0), raising=False)

    return answers


def test_an_unknown_send_is_settled_by_asking_the_carrier(
    make_gateway: Make, carrier_list: Any
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    carrier_list(gateway)
    message = unknown_send(gateway)
    carrier_list(gateway, None, listed_status(message))
    for _ in range(2):
        make_due(gateway)
        run_due_jobs(gateway)
    assert stored(gateway, message).status is Status.DELIVERED
    assert {job.state for job in jobs_of(gateway, message) if job.kind == "reconcile"} == {"done"}


def test_a_send_unknown_to_the_carrier_is_left_to_a_person(
    make_gateway: Make, carrier_list: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    carrier_list(gateway)
    message = unknown_send(gateway)
    carrier_list(gateway, None)
    monkeypatch.setattr(type(gateway.providers["sandbox"]), "lookup_seconds", 0.0001)
    make_due(gateway)
    run_due_jobs(gateway)
    make_due(gateway)
    assert run_due_jobs(gateway) == []
    assert stored(gateway, message).status is Status.UNKNOWN


def test_the_status_of_another_message_settles_nothing(
    make_gateway: Make, carrier_list: Any
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    carrier_list(gateway)
    message = unknown_send(gateway)
    failing(gateway)
    other, _ = gateway.composer.submit(PHONE, Reply(text="y", to=(PEER,)))
    run_due_jobs(gateway)
    carrier_list(gateway, listed_status(stored(gateway, other)))
    make_due(gateway)
    run_due_jobs(gateway)
    assert stored(gateway, message).status is Status.UNKNOWN


def test_a_carrier_without_receipts_is_asked_until_the_end(
    make_gateway: Make, carrier_list: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    monkeypatch.setattr(type(provider), "receipts", False)
    failing(gateway)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    carrier_list(
        gateway, listed_status(message, Status.SENT), listed_status(message, Status.DELIVERED)
    )
    for _ in range(3):
        run_due_jobs(gateway)
        make_due(gateway)
    assert stored(gateway, message).status is Status.DELIVERED

"""Steps that tests share: texts through the sandbox carrier, and due jobs run."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from services.core.errors import DeliveryError
from services.core.messages import Ack, Device, Message, Parsed, WebhookCall
from services.gateway import Gateway
from services.messaging.store_parts import CallParts
from services.providers.base import Provider
from services.store import circuit_breakers, jobs, messages
from services.store.database import clock
from services.store.database.schema import jobs as job_table
from services.store.database.schema import messages as message_table
from services.store.database.store import Store
from services.store.jobs import Job
from tests.conftest import NUMBER, PEER

Make = Callable[..., Gateway]
PHONE = Device(id="d", extension="201")


def webhook_call(gateway: Gateway, text: str = "hi", **changes: Any) -> WebhookCall:
    fields = {"number": NUMBER, "peer": PEER, "text": text} | changes
    return gateway.providers["sandbox"].example(Message(direction="in", **fields))


def receive_call(gateway: Gateway, provider: Provider, call: WebhookCall) -> Ack:
    """Receive a carrier's call and process it, as web process and worker do."""
    ack = gateway.receiver.receive(provider, call)
    gateway.processor.process_all()
    return ack


def store_parts(
    gateway: Gateway, provider: Provider, call: WebhookCall, parts: Iterable[Parsed] | None = None
) -> list[tuple[str, str]]:
    """Store the parts of a call, or these; returns (outcome, message id) of each."""
    parsed = list(provider.parse(call)) if parts is None else list(parts)
    return gateway.store.write(
        lambda tx: gateway.replay.parts.store_old(tx, CallParts(provider.name, call, parsed))
    )


def fail_with_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make storing of messages with this text fail, as a fault of ours would."""
    add = messages.add_all_inbound

    def fail(tx: Connection, new: Sequence[Message]) -> list[Message | None]:
        if any(message.text == text for message in new):
            raise ZeroDivisionError
        return add(tx, new)

    monkeypatch.setattr("services.store.messages.add_all_inbound", fail)


def receive_text(gateway: Gateway, text: str = "hi", **changes: Any) -> None:
    receive_call(gateway, gateway.providers["sandbox"], webhook_call(gateway, text, **changes))


def raw_call(gateway: Gateway, body: bytes) -> WebhookCall:
    token = gateway.providers["sandbox"].webhook_token
    return WebhookCall("POST", {"content-type": "application/json"}, f"token={token}", body)


def run_due_jobs(gateway: Gateway) -> list[Job]:
    """Do everything that is due, as the worker would."""
    done: list[Job] = []

    def start(job: Job) -> None:
        done.append(job)
        gateway.delivery.perform(job)

    while True:
        before = len(done)
        gateway.delivery.deliver("w", lambda _: 8, start)
        gateway.delivery.finish()
        if len(done) == before:
            return done


def stored_messages(gateway: Gateway) -> list[Message]:
    return gateway.store.read(lambda tx: messages.find(tx, limit=100))


def stored(gateway: Gateway, message: Message) -> Message:
    found = gateway.store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    return found


def jobs_of(gateway: Gateway, message: Message) -> list[Job]:
    return gateway.store.read(lambda tx: jobs.of(tx, message.id))


def make_due(gateway: Gateway) -> None:
    past = time.time() - 1.0  # the database's clock is measured, to some milliseconds
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(due=past)))
    gateway.store.write(circuit_breakers.resume_all)


def set_time(store: Store, message_id: str, ago: float = 0.0) -> None:
    """Let the time of a scheduled text have come so many seconds ago."""
    then = store.read(clock.now) - ago
    this = update(message_table).where(message_table.c.id == message_id)
    store.write(lambda tx: tx.execute(this.values(send_at=then)))


def hours_from_now(begin: float, end: float) -> str:
    """A span of hours in UTC that begins and ends so many hours from now."""
    now = datetime.now(UTC)
    first, last = (now + timedelta(hours=each) for each in (begin, end))
    return f"{first:%H:%M}-{last:%H:%M}"


def failing(gateway: Gateway, *errors: DeliveryError) -> list[Message]:
    """Let the carrier fail in this order, then take everything; returns what it took."""
    provider = gateway.providers["sandbox"]
    left, taken = list(errors), []

    def send(message: Message) -> str:
        if left:
            raise left.pop(0)
        taken.append(message)
        return f"id-{message.id}"

    provider.send = send  # type: ignore[method-assign]
    return taken

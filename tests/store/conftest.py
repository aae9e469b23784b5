"""A store on each database, and messages and jobs in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.messages import DeliveryStatus, Message, Status
from services.store import jobs, messages
from services.store.database.store import Store
from services.store.jobs import Job
from tests.conftest import NUMBER, PEER


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(database or None, tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def inbound(provider_id: str = "x1", **changes: object) -> Message:
    fields = {"number": NUMBER, "peer": PEER, "text": "hi", "provider": "sandbox"} | changes
    return Message(direction="in", provider_id=provider_id, **fields)  # type: ignore[arg-type]


def outbound(**changes: object) -> Message:
    fields = {"number": NUMBER, "peer": PEER, "text": "yes", "provider": "sandbox"} | changes
    return Message(direction="out", status=Status.QUEUED, extension="201", **fields)  # type: ignore[arg-type]


def store_inbound(store: Store, message: Message) -> Message | None:
    return store.write(lambda tx: messages.add_inbound(tx, message))


def store_outbound(store: Store, message: Message) -> Message:
    return store.write(lambda tx: messages.add_outbound(tx, message, "f"))


def status_event(status: Status, message: Message, **more: object) -> DeliveryStatus:
    fields = {"provider_id": "c1", "peer": PEER, "event": str(status)} | more
    return DeliveryStatus(status=status, **fields)  # type: ignore[arg-type]


def add_jobs(store: Store, *new: Job) -> None:
    store.write(lambda tx: jobs.add(tx, new))

"""Scheduled texts on the administrator's pages and in commands: shown, filtered, cancelled."""

import time
from collections.abc import Callable

import pytest

from services.core.messages import Message, Status
from services.messaging.compose import Reply
from services.store import messages
from services.store.database.schema import messages as message_table
from tests.admin.conftest import Operator, plain
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER_ENTRY, PEER
from tests.message_steps import PHONE, Make, stored

WHY = "Quiet hours in Texas until 09:00 (America/Chicago)."


@pytest.fixture
def operator(make_operator: Callable[..., Operator]) -> Operator:
    return make_operator(NUMBER_ENTRY, SCHEDULED_US_HOURS="false")


def scheduled(operator: Operator, why: str | None = None) -> Message:
    gateway = operator.gateway
    reply = Reply("later", (PEER,), send_at=time.time() + 3600)
    message, _ = gateway.composer.submit(PHONE, reply)
    values = message_table.update().values(waits_because=why)
    gateway.store.write(lambda tx: tx.execute(values))
    return stored(gateway, message)


def test_a_scheduled_text_is_shown_with_its_time_and_reason(operator: Operator) -> None:
    message = scheduled(operator, WHY)
    page = plain(operator.get(f"/messages/{message.id}"))
    assert "Scheduled for" in page
    assert WHY in page
    assert message.id in operator.get("/messages?state=scheduled")
    assert message.id not in operator.get("/messages?state=queued")


def test_the_administrator_cancels_it_once(operator: Operator) -> None:
    message = scheduled(operator)
    said = plain(operator.post(f"/messages/{message.id}/cancel"))
    assert "Cancelled by the administrator." in said
    assert "Cancel this text" not in said
    assert stored(operator.gateway, message).status is Status.CANCELLED
    operator.post(f"/messages/{message.id}/cancel", 409)
    operator.post("/messages/01890000-0000-7000-8000-000000000000/cancel", 404)


def test_the_commands_show_and_cancel_it(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    terminal = Terminal(gateway)
    reply = Reply("later", (PEER,), send_at=time.time() + 3600)
    message, _ = gateway.composer.submit(PHONE, reply)
    [listed] = terminal.json("messages", "list", "--status", "scheduled")
    assert (listed["id"], listed["state"], listed["status"]) == (message.id, "scheduled", "queued")
    assert "To be sent:" in terminal.flask("messages", "show", message.id).output
    assert "Cancelled." in terminal.flask("messages", "cancel", message.id).output
    shown = terminal.json("messages", "show", message.id)
    assert [step["title"] for step in shown["timeline"]] == [
        "Written by extension 201, kept, and scheduled",
        "Cancelled",
    ]
    assert "does not wait" in terminal.flask("messages", "cancel", message.id, code=1).stderr
    assert gateway.store.read(lambda tx: messages.find(tx, limit=9))[0].error_code == "cancelled"

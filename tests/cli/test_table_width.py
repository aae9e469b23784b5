"""Tables of the commands fit a terminal of 100 columns; what they cut off is in ``--json``."""

from collections.abc import Callable
from functools import partial

import pytest

from services.core.messages import Message
from services.messaging.bulk_recipients import Recipient
from services.messaging.bulk_sending import BulkRequest
from services.messaging.compose import Reply
from services.operations import statistics
from services.store import blocked_senders, contacts, devices, messages
from services.store.contacts import Contact
from tests.cli.conftest import DEVICE, Terminal, inbound
from tests.conftest import NUMBER, PEER
from tests.message_steps import raw_call, receive_call

WIDTH = 100
LONG = "a very long name of something that nobody would call so " * 2
FULL_ENTRY = {
    "number": NUMBER,
    "carrier": "sandbox",
    "extensions": [str(extension) for extension in range(201, 221)],
    "emails": ["reception.of.the.whole.company@example.com", "another.address@example.com"],
    "description": LONG.strip()[:100],
}
LISTS = (
    ("messages", "list"),
    ("messages", "list", "--dead"),
    ("devices", "list"),
    ("optouts", "list", "--all"),
    ("blocked", "list"),
    ("quarantine", "list"),
    ("bulksends", "list"),
    ("contacts", "list"),
    ("templates", "list"),
    ("settings", "list"),
    ("rules", "list"),
    ("carriers", "list"),
    ("activity",),
    ("activity", "--days", "3"),
    ("why", "texts"),
)


@pytest.fixture
def full(make_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 100 columns on a service with something long in every table."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    terminal = make_terminal(
        FULL_ENTRY,
        APP_TIMEZONE="America/Argentina/ComodRivadavia",
        BULK_SENDING="true",
        SEND_COUNTRIES="US",
    )
    gateway = terminal.gateway
    for text in ("texts that are long", LONG):
        inbound(gateway, f"texts {text} {LONG}")
    group = tuple(f"+1303555018{last}" for last in range(5))
    gateway.composer.submit(DEVICE, Reply(text=f"texts {LONG}", to=group))
    terminal.flask("devices", "add", "201", "--name", LONG[:90])
    [device] = gateway.store.read(devices.of)
    gateway.store.write(partial(devices.record_push, device_id=device.id, error=LONG))
    terminal.flask("optouts", "add", "+13035550199", "--reason", LONG)
    gateway.store.write(lambda tx: blocked_senders.add(tx, PEER, NUMBER, "201"))
    receive_call(gateway, gateway.providers["sandbox"], raw_call(gateway, b"no JSON"))
    asked = BulkRequest(LONG[:100], "Closed.", (Recipient(2, "+13035550188", {}),))
    gateway.bulk_sending.create("201", asked, "a test")
    gateway.store.write(partial(contacts.put, contact=Contact(PEER, LONG[:100])))
    statistics.count(gateway.store)
    terminal.flask("templates", "set", "closed", "--text", LONG)
    return terminal


@pytest.mark.parametrize("arguments", LISTS, ids=" ".join)
def test_a_table_fits_the_terminal(full: Terminal, arguments: tuple[str, ...]) -> None:
    lines = full.flask(*arguments).stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH, max(lines, key=len)


def test_messages_are_listed_by_short_ids_and_names(full: Terminal) -> None:
    full.gateway.store.write(partial(contacts.put, contact=Contact(PEER, "Ann Example")))
    message = inbound(full.gateway, "short")
    listed = full.flask("messages", "list").stdout.splitlines()
    assert listed[1].split()[0] == message.id[-8:]
    assert "  Ann Example" in listed[1]
    assert PEER not in listed[1]
    assert listed[-1] == "Times are in America/Argentina/ComodRivadavia."
    assert full.json("messages", "show", message.id[-8:])["id"] == message.id
    assert full.json("why", message.id[-8:].upper())["message"]["id"] == message.id


def test_devices_and_bulk_sends_are_named_by_short_ids(full: Terminal) -> None:
    [made] = full.json("bulksends", "list")
    assert full.json("bulksends", "show", made["id"][-8:])["id"] == made["id"]
    [device] = full.json("devices", "list")
    full.flask("devices", "revoke", device["device_id"][-8:])
    assert full.json("devices", "list") == []


def test_the_end_of_several_ids_names_none(terminal: Terminal) -> None:
    ids = [f"01931c6a-4a00-7c3e-9d2b-00{first}aaabbbb" for first in ("1", "2")]
    for one in ids:
        kept = Message("in", NUMBER, PEER, "hello", id=one, provider_id=one, provider="sandbox")
        terminal.gateway.store.write(partial(messages.add_inbound, message=kept))
    told = terminal.flask("messages", "show", "aaabbbb", code=1).stderr
    assert all(one in told for one in ids)
    assert terminal.json("messages", "show", "1aaabbbb")["id"] == ids[0]
    for nothing in ("ccccdddd", "%", "____", "b"):
        assert "There is no" in terminal.flask("messages", "show", nothing, code=1).stderr


def test_empty_hours_are_counted_not_listed(terminal: Terminal) -> None:
    assert "24 hours without messages left out." in terminal.flask("activity").stdout
    inbound(terminal.gateway)
    statistics.count(terminal.gateway.store)
    assert "23 hours without messages left out." in terminal.flask("activity").stdout
    assert len(terminal.json("activity")["points"]) == 24

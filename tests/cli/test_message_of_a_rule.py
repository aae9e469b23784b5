"""``flask messages show`` of a message that a rule has decided, with the turn in its group."""

import json
import re
from html import unescape

from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY
from tests.message_steps import receive_text


def test_the_extensions_of_the_number_are_not_shown_as_its_recipients(terminal: Terminal) -> None:
    rule = {"name": "Machines", "from": ["12345"], "deliver": {"extensions": ["205"]}}
    entry = {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]}
    document = {"version": 2, "numbers": [entry], "inbound": [rule]}
    terminal.gateway.settings.put_document(json.dumps(document).encode())
    receive_text(terminal.gateway, "a code", peer="12345")
    receive_text(terminal.gateway, "hello")
    other, decided = terminal.json("messages", "list")
    assert "Extension:     201" in terminal.flask("messages", "show", other["id"]).stdout
    shown = terminal.flask("messages", "show", decided["id"]).stdout
    assert "Rule:          Machines" in shown
    assert not re.search(r"\b201\b", unescape(shown))  # an id may have these digits


def test_whose_turn_it_was_is_shown(terminal: Terminal) -> None:
    rule = {"name": "Sales", "to": [NUMBER], "deliver": {"group": "sales"}}
    group = {"extensions": ["201", "202"], "assign": "round-robin"}
    document = {"version": 2, "numbers": [NUMBER_ENTRY], "groups": {"sales": group}}
    document |= {"inbound": [rule]}
    terminal.gateway.settings.put_document(json.dumps(document).encode())
    terminal.flask("devices", "add", "202", "--name", "phone")
    receive_text(terminal.gateway, "hello")
    [message] = terminal.json("messages", "list")
    turn = "In its turn, 202 of the group “sales” got it"
    assert turn in terminal.flask("messages", "show", message["id"]).stdout
    shown = terminal.json("messages", "show", message["id"])
    assert turn in [step["title"] for step in shown["timeline"]]

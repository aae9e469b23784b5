"""``flask messages show`` of a message that a rule has decided."""

import json
import re
from html import unescape

from tests.cli.conftest import Terminal
from tests.conftest import NUMBER
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

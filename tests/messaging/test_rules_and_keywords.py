"""Rules and the words of the opt-out: which texts a rule answers."""

import json
from collections.abc import Callable

import pytest

from services.gateway import Gateway
from tests.conftest import NUMBER
from tests.message_steps import receive_text, stored_messages

REPLY = "Thank you."


@pytest.mark.parametrize(
    ("text", "is_answered"),
    [("yes", True), ("Yes!", True), ("info", False), ("STOP", False), ("start", False)],
)
def test_a_rule_answers_yes_and_no_other_word_of_the_opt_out(
    make_gateway: Callable[..., Gateway], text: str, is_answered: bool
) -> None:
    gateway = make_gateway()
    rule = {"name": "All", "reply": REPLY}
    number = {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]}
    document = {"version": 2, "numbers": [number], "inbound": [rule]}
    gateway.settings.put_document(json.dumps(document).encode())
    receive_text(gateway, text)
    sent = [one.text for one in stored_messages(gateway) if one.direction == "out"]
    assert (REPLY in sent) == is_answered

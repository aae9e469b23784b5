"""Outbound rules: by which number a new conversation leaves, by extension and recipient."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.core.errors import RequestRefused
from services.core.messages import Device
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.operations import timeline
from tests.message_steps import receive_text, stored_messages

A, B, C = "+12025550143", "+12025550150", "+442071838750"
UK, US = "+447700900123", "+13035550177"
NUMBERS = [
    {"number": A, "carrier": "sandbox", "extensions": ["201", "301", "0201"]},
    {"number": B, "carrier": "sandbox", "extensions": ["201", "301", "0201"]},
    {"number": C, "carrier": "sandbox", "extensions": ["201"]},
]
RULES: list[dict[str, Any]] = [
    {"name": "UK", "extensions": ["201-220"], "to": ["+44*"], "from": [C, A]},
    {"name": "UK others", "to": ["+44*"], "from": [C, B]},
    {"name": "Only C", "to": ["+1303*"], "from": [C]},
    {"name": "Three", "extensions": ["3??"], "from": [B]},
]


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    made = make_gateway(SEND_COUNTRIES="*")
    document = {"version": 2, "numbers": NUMBERS, "outbound": RULES}
    made.settings.put_document(json.dumps(document).encode())
    return made


def send(gateway: Gateway, extension: str, to: tuple[str, ...], sender: str | None = None) -> Any:
    device = Device(id="d", extension=extension)
    message, _ = gateway.composer.submit(device, Reply("hi", to=to, sender=sender))
    return message


@pytest.mark.parametrize(
    ("extension", "to", "sender", "leaves_by", "rule"),
    [
        ("201", (UK,), None, C, "UK"),
        ("201", (UK,), A, A, "UK"),
        ("201", (US,), None, C, "Only C"),
        ("201", ("+12125550177",), None, A, None),
        ("201", ("+12125550177",), B, B, None),
        ("301", (UK,), None, B, "UK others"),  # it does not have C
        ("301", (US,), None, B, "Three"),  # it has no number of the rule above
        ("301", ("+12125550177",), None, B, "Three"),
        ("0201", (UK,), None, B, "UK others"),  # 0201 is not between 201 and 220
        ("201", (UK, "+447700900124"), None, C, "UK"),
        ("201", (UK, "+12125550177"), None, A, None),
    ],
)
def test_a_new_conversation_leaves_by_the_number_of_the_first_rule_that_fits(
    gateway: Gateway,
    extension: str,
    to: tuple[str, ...],
    sender: str | None,
    leaves_by: str,
    rule: str | None,
) -> None:
    message = send(gateway, extension, to, sender)
    assert (message.number, message.rule) == (leaves_by, rule)


def test_another_number_is_refused_and_says_which_it_may_be(gateway: Gateway) -> None:
    with pytest.raises(RequestRefused) as caught:
        send(gateway, "201", (UK,), B)
    assert (caught.value.code, caught.value.status) == ("number_not_allowed", 403)
    assert caught.value.reason == (
        f"A new conversation with {UK} leaves by {C} or {A}, by the rule “UK”."
    )
    assert stored_messages(gateway) == []


def test_an_answer_leaves_by_the_number_of_its_conversation(gateway: Gateway) -> None:
    receive_text(gateway, "hello", number=B, peer=UK)
    (question,) = stored_messages(gateway)
    assert send(gateway, "201", (UK,)).number == B
    assert send(gateway, "201", (UK,), B).number == B
    device = Device(id="d", extension="201")
    reply = Reply("hi", conversation_id=question.conversation_id)
    answer, _ = gateway.composer.submit(device, reply)
    assert (answer.number, answer.rule) == (B, None)


def test_the_timeline_names_the_rule(gateway: Gateway) -> None:
    message = send(gateway, "201", (UK,))
    known = timeline.load(gateway.store, message.id)
    assert timeline.steps(gateway.settings, known)[0].title == (
        "Written by extension 201, by a number of the rule “UK”, kept, and queued for sending"
    )

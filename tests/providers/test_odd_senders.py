"""Senders and members of groups at each carrier: none of them loses a text."""

import json
from typing import Any

import pytest

from services.core.messages import Message, WebhookCall
from services.core.phone_numbers import sender
from tests import payload_files

OURS, PEER = "+12025550143", "+13035550177"
CALLS: dict[str, Any] = {
    "bandwidth": lambda written: [
        {
            "type": "message-received",
            "to": OURS,
            "message": {"id": "1", "owner": OURS, "to": [OURS], "from": written, "text": "hi"},
        }
    ],
    "voipms": lambda written: {
        "data": {
            "event_type": "message.received",
            "payload": {
                "id": 1,
                "from": {"phone_number": written},
                "to": [{"phone_number": OURS}],
                "text": "hi",
                "type": "SMS",
            },
        }
    },
    "wavix": lambda written: {
        "message_id": "1",
        "from": written,
        "to": OURS.removeprefix("+"),
        "message_body": {"text": "hi"},
    },
    "voipinnovations": lambda written: {
        "type": "incomingWebhookSMS",
        "from": written,
        "to": OURS.removeprefix("+"),
        "body": "hi",
    },
}


def received(carrier: str, content: Any) -> Message:
    headers = {"content-type": "application/json"}
    call = WebhookCall("POST", headers, "", json.dumps(content).encode())
    [message] = payload_files.provider(carrier).parse(call)
    assert isinstance(message, Message), message
    return message


@pytest.mark.parametrize("carrier", CALLS)
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("900123456", "900123456"),
        ("72404000", "72404000"),
        ("99999999999", "99999999999"),
        ("13035550177", PEER),
        ("3035550177", PEER),
        ("O'Reilly", "O'Reilly"),
        (" ", "unknown"),
        ("\u200b", "unknown"),
    ],
)
def test_a_sender_is_kept_as_it_came_unless_it_is_a_number(
    carrier: str, written: str, kept: str
) -> None:
    assert sender(received(carrier, CALLS[carrier](written)).peer, "US") == kept


def test_a_number_of_ten_digits_with_a_country_code_is_the_one_of_that_country() -> None:
    """Wavix writes every number with its country code: 4792345678 is in Norway, not Arkansas."""
    assert sender(received("wavix", CALLS["wavix"]("4792345678")).peer, "US") == "+4792345678"


def group(*others: str) -> Message:
    content = CALLS["bandwidth"](PEER)
    content[0]["message"]["to"] = [OURS, *others]
    return received("bandwidth", content)


def test_a_group_of_any_size_comes_in() -> None:
    others = [f"+1303556{number:04}" for number in range(150)]
    assert group(*others).participants == (PEER, *others)


def test_a_blank_entry_is_no_member_of_a_group() -> None:
    assert group("", " ").participants == ()

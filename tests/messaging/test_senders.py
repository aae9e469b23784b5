"""Inbound texts: our own number decides delivery, whatever the sender is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from services.core.errors import RequestRefused
from services.core.messages import Message, WebhookCall
from services.core.phone_numbers import sender
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import quarantine
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from tests import payload_files
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import (
    PHONE,
    raw_call,
    receive_text,
    run_due_jobs,
    store_parts,
    stored_messages,
)

Make = Callable[..., Gateway]
ODD = ["O'Reilly", "Müller", "365Bank", "x" * 28, "a@example.com", "+72404", "900123456"]


def receive(gateway: Gateway, **event: Any) -> list[tuple[str, str]]:
    """What becomes of a call of the sandbox; ``from`` is given as ``sender``."""
    event["from"] = event.pop("sender", PEER)
    body = json.dumps({"id": "1", "to": NUMBER} | event).encode()
    provider = gateway.providers["sandbox"]
    call = raw_call(gateway, body)
    return store_parts(gateway, provider, call)


@pytest.mark.parametrize("odd", ODD)
def test_a_text_reaches_the_extension_whatever_its_sender_is(
    make_gateway: Make, receiver: Receiver, database: str, odd: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **receiver.env)
    receive_text(gateway, "Your order is ready", peer=odd)
    run_due_jobs(gateway)
    (push,) = receiver.wait_for(1)
    assert push["data"]["extension"] == "201"
    assert push["data"]["message"]["from"] == odd
    assert gateway.store.read(quarantine.waiting) == []

    (message,) = stored_messages(gateway)
    for reply in (
        Reply(text="x", to=(odd,)),
        Reply(text="x", conversation_id=message.conversation_id),
    ):
        with pytest.raises(RequestRefused) as caught:
            gateway.composer.submit(PHONE, reply)
        assert caught.value.code in ("not_dialable", "invalid_number")


def test_any_sender_whatever_reaches_the_extension(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, PUSH_WEBHOOK_URL="http://127.0.0.1:9/")
    count = 0

    @settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.text(st.characters(), min_size=1, max_size=300), st.text(max_size=20))
    def delivered(written: str, text: str) -> None:
        nonlocal count
        count += 1
        outcomes = receive(gateway, sender=written, text=text, id=f"id-{count}")
        assert [outcome for outcome, _ in outcomes] == ["received"]
        newest = stored_messages(gateway)[0]
        assert (newest.id, newest.routed) == (outcomes[0][1], True)
        assert newest.peer == sender(written, "US")

    delivered()
    assert gateway.store.read(quarantine.waiting) == []


@settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)
@example(written="x" * 5000)
@example(written="+")
@given(written=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_every_carrier_hands_over_any_sender(carrier: str, written: str) -> None:
    provider = payload_files.provider(carrier)
    message = Message("in", "+12025550143", written if written.strip() else "x", text="hi")
    parsed = list(provider.parse(provider.inbound_call(message)))
    assert [type(part) for part in parsed] == [Message]


def test_one_odd_member_does_not_lose_a_group(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY | {"number": "+12025550143", "carrier": "bandwidth"},
                           **payload_files.settings("bandwidth"))  # fmt: skip
    body = (Path(payload_files.FOLDER) / "bandwidth/receive_group_with_email.http").read_bytes()
    body = body.partition(b"\n\n")[2]
    provider = gateway.providers["bandwidth"]
    call = WebhookCall("POST", {}, "", body)
    store_parts(gateway, provider, call)
    (message,) = stored_messages(gateway)
    assert message.peer == "+13035550177"
    assert sorted(message.participants) == ["+13035550177", "+13035550199", "someone@example.com"]
    assert message.routed
    with pytest.raises(RequestRefused, match=r"someone@example\.com.* is a name"):
        gateway.composer.submit(PHONE, Reply(text="x", conversation_id=message.conversation_id))


def test_a_name_with_spaces_is_no_group(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    group = Message("in", NUMBER, "+13035550177", participants=("+13035550177", "+13035550178"))
    call = raw_call(gateway, b"")
    store_parts(gateway, provider, call, [group])
    receive(gateway, sender="x +13035550177 +13035550178")
    receive(gateway, sender="Harbour Cafe", id="2")
    store_parts(gateway, provider, call, [
        Message("in", NUMBER, "Cafe", participants=("Cafe", "Harbour"))])  # fmt: skip
    receive(gateway, sender="Cafe Harbour", id="3")
    found = stored_messages(gateway)
    assert len({message.conversation_id for message in found}) == len(found) == 5


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "repeated"),
        ({"media": ["https://x.example/a.jpg?signature=2"]}, "repeated"),
        ({"text": "  hi\r\nyou "}, "repeated"),
        ({"sender": PEER.removeprefix("+")}, "repeated"),
        ({"text": "other"}, "received"),
        ({"sender": "+13035550178"}, "received"),
        ({"to": "+12025550199"}, "received"),
        ({"id": "2"}, "received"),
    ],
    ids=str,
)
def test_a_repeat_has_the_same_id_number_sender_and_words(
    make_gateway: Make, database: str, change: dict[str, Any], outcome: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    first = {"text": "hi you", "media": ["https://x.example/a.jpg?signature=1"]}
    assert [done for done, _ in receive(gateway, **first)] == ["received"]
    assert [done for done, _ in receive(gateway, **first | change)] == [outcome]
    assert [done for done, _ in receive(gateway, **first | change)] == ["repeated"]
    assert len(stored_messages(gateway)) == 1 + (outcome == "received")


def test_the_id_of_a_text_that_went_out_does_not_lose_one_that_comes_in(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    sent, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    run_due_jobs(gateway)
    receive(gateway, id=f"sandbox-{sent.id}", text="x")
    assert [message.direction for message in stored_messages(gateway)] == ["in", "out"]


def test_texts_that_waited_because_of_their_sender_are_read_again_once(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)

    def keep(reason: str, **event: Any) -> None:
        body = json.dumps({"id": reason, "to": NUMBER, "from": "O'Reilly"} | event).encode()
        call = WebhookCall("POST", {}, "", body)

        def store(tx: Connection) -> None:
            audit_counters.add(tx, AuditCounter.ENTERED)
            quarantine.add(tx, "sandbox", call, reason, body)

        gateway.store.write(store)

    keep("“O'Reilly” is neither a phone number nor a short code nor a name.")
    keep("“from” is longer than 255 characters.", **{"from": "x" * 300})
    keep("“from” is missing.")  # another reason, although it could be read
    keep("“x” is not a complete phone number. Write it with …", to="+++")  # still unreadable
    with gateway.new_worker() as worker:
        worker.step()
        worker.finish(lambda: None)
    assert sorted(message.peer[:8] for message in stored_messages(gateway)) == [
        "O'Reilly",
        "xxxxxxxx",
    ]
    left = [row.reason for row in gateway.store.read(quarantine.waiting)]
    assert left == ["“from” is missing.", "“+++” is not a phone number."]
    assert gateway.audit.check(thorough=True) == []


def test_a_short_code_that_could_not_be_typed_can_be_answered(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DEFAULT_COUNTRY="GB")
    with pytest.raises(RequestRefused, match="area code"):
        gateway.composer.submit(PHONE, Reply(text="x", to=("1234",)))
    receive_text(gateway, peer="1234")
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=("1234",)))
    assert message.peer == "1234"

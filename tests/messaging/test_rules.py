"""Rules through the real entrances: access, guards of automatic answers, texts that waited."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from services.core.messages import Device, Message
from services.gateway import Gateway
from services.message_settings.rules import InboundText
from services.messaging.compose import Reply
from services.messaging.store_parts import CallParts
from services.operations import timeline
from services.store import messages, unrouted
from services.store.database.schema import automatic_answers as answers_table
from services.store.database.schema import inbox as inbox_table
from services.store.jobs import JobKind
from services.store.maintenance import people
from tests.conftest import NUMBER, PEER
from tests.message_steps import (
    jobs_of,
    raw_call,
    receive_text,
    run_due_jobs,
    store_parts,
    stored_messages,
    webhook_call,
)

Make = Callable[..., Gateway]
OTHER = "+12025550160"
THIRD = "+12025550170"
NUMBERS = [
    {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]},
    {"number": OTHER, "carrier": "sandbox"},
    {"number": THIRD, "carrier": "sandbox", "extensions": ["203"], "enabled": False},
]
ANSWER: dict[str, Any] = {"name": "Hello", "reply": "We call you.", "reply_once_hours": 2}


def with_rules(gateway: Gateway, *rules: dict[str, Any], **parts: Any) -> Gateway:
    document = {"version": 2, "numbers": NUMBERS, "inbound": list(rules), **parts}
    gateway.settings.put_document(json.dumps(document).encode())
    return gateway


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    return make_gateway(DATABASE_URL=database)


@pytest.fixture
def here(make_gateway: Make) -> Gateway:
    return make_gateway()


def sent(gateway: Gateway) -> list[str]:
    return [one.text for one in reversed(stored_messages(gateway)) if one.direction == "out"]


def test_a_person_is_answered_once_in_a_time(gateway: Gateway) -> None:
    with_rules(gateway, ANSWER)
    receive_text(gateway, "one")
    receive_text(gateway, "two")
    receive_text(gateway, "three", peer="+13035550188")
    assert sent(gateway) == ["We call you."] * 2
    taken = run_due_jobs(gateway)
    assert [job.kind for job in taken].count(JobKind.SEND) == 2
    past = {"at": answers_table.c.at - 2 * 3600.0}
    gateway.store.write(lambda tx: tx.execute(update(answers_table).values(past)))
    receive_text(gateway, "four")
    assert len(sent(gateway)) == 3


def test_an_answer_is_a_text_of_the_conversation_without_an_extension(gateway: Gateway) -> None:
    with_rules(gateway, ANSWER)
    receive_text(gateway, "hello")
    answer, question = stored_messages(gateway)
    assert (answer.direction, answer.number, answer.peer) == ("out", NUMBER, PEER)
    assert answer.conversation_id == question.conversation_id
    assert (answer.extension, answer.rule, question.rule) == (None, "Hello", "Hello")
    assert answer.seq > question.seq
    unread = gateway.store.read(lambda tx: messages.unread(tx, "201", [question.conversation_id]))
    assert unread == {question.conversation_id: 1}
    told = timeline.load(gateway.store, answer.id)
    titles = [step.title for step in timeline.steps(gateway.settings, told)]
    assert "Written by the rule “Hello”, kept, and queued for sending" in titles
    told = timeline.load(gateway.store, question.id)
    titles = [step.title for step in timeline.steps(gateway.settings, told)]
    assert "Given to its recipients by the rule “Hello”" in titles


def test_a_repeated_webhook_is_answered_once(here: Gateway) -> None:
    with_rules(here, ANSWER | {"reply_once_hours": 1})
    call = webhook_call(here, "hello")
    for _ in range(2):
        here.receiver.receive(here.providers["sandbox"], call)
    here.processor.process_all()
    assert sent(here) == ["We call you."]


def test_a_person_gets_at_most_twenty_answers_an_hour_from_all_rules(here: Gateway) -> None:
    rules = [
        {"name": f"Rule {n}", "keywords": [f"word{n}"], "reply": f"Answer {n}"} for n in range(25)
    ]
    with_rules(here, *rules)
    for n in range(25):
        receive_text(here, f"word{n}")
    assert sent(here) == [f"Answer {n}" for n in range(20)]
    receive_text(here, "word24", peer="+13035550188")
    assert len(sent(here)) == 21


@pytest.mark.parametrize(
    ("changes", "is_answered"),
    [
        ({}, True),
        ({"peer": "72404"}, False),
        ({"peer": "AMAZON"}, False),
        ({"peer": OTHER}, False),
        ({"participants": (PEER, "+13035550188")}, False),
        ({"text": "Liked “See you”"}, False),
        ({"number": THIRD}, False),
        ({"number": "+12025550199"}, False),
    ],
)
def test_who_is_answered(here: Gateway, changes: dict[str, Any], is_answered: bool) -> None:
    with_rules(here, ANSWER)
    text = Message(**{"direction": "in", "number": NUMBER, "peer": PEER, "text": "hello"} | changes)
    call = CallParts("sandbox", raw_call(here, b"{}"), [text])
    here.store.write(lambda tx: here.replay.parts.store(tx, [call]))
    assert (sent(here) == ["We call you."]) is is_answered
    assert len(stored_messages(here)) == 1 + is_answered


def test_a_text_that_is_found_late_is_not_answered(here: Gateway) -> None:
    with_rules(here, ANSWER)
    here.receiver.receive(here.providers["sandbox"], webhook_call(here, "old"))
    past = {"received_at": time.time() - 3700.0}
    here.store.write(lambda tx: tx.execute(update(inbox_table).values(past)))
    here.processor.process_all()
    text = Message(direction="in", number=NUMBER, peer=PEER, text="found in the carrier's list")
    store_parts(here, here.providers["sandbox"], raw_call(here, b"{}"), [text])
    assert len(stored_messages(here)) == 2
    assert sent(here) == []


def test_a_country_that_may_not_be_texted_gets_no_answer(here: Gateway) -> None:
    with_rules(here, ANSWER)
    receive_text(here, "hello", peer="+447700900123")
    assert len(stored_messages(here)) == 1


def test_answers_in_one_batch_come_after_all_its_texts(here: Gateway) -> None:
    with_rules(here, ANSWER)
    for text in ("one", "two", "three"):
        here.receiver.receive(here.providers["sandbox"], webhook_call(here, text))
    here.processor.process_all()
    texts = [one.text for one in reversed(stored_messages(here))]
    assert texts == ["one", "two", "three", "We call you."]


GROUP = {"groups": {"sales": {"extensions": ["202", "203"]}}}


def test_whom_a_rule_delivers_to_may_have_the_conversations_of_its_numbers(here: Gateway) -> None:
    deliver = {"group": "sales", "extensions": ["204"], "emails": ["A@example.com"]}
    with_rules(here, {"name": "A", "to": [NUMBER], "deliver": deliver}, **GROUP)
    access = here.access
    for extension in ("201", "202", "203", "204"):
        assert access.extension_may(extension, NUMBER), extension
        assert [entry.number for entry in access.numbers(extension)] == [NUMBER]
        assert not access.extension_may(extension, OTHER)
    assert set(access.extensions(NUMBER)) == {"201", "202", "203", "204"}
    assert access.extensions(OTHER) == ()
    assert access.address_may("a@EXAMPLE.com", NUMBER)
    assert not access.address_may("a@example.com", OTHER)
    with_rules(here, **GROUP)
    assert not access.extension_may("202", NUMBER)
    assert not access.address_may("a@example.com", NUMBER)


def test_a_rule_for_every_number_gives_every_enabled_number(here: Gateway) -> None:
    with_rules(here, {"name": "A", "keywords": ["x"], "deliver": {"extensions": ["204"]}})
    assert [entry.number for entry in here.access.numbers("204")] == [NUMBER, OTHER]
    assert here.access.extension_may("204", OTHER)
    assert not here.access.extension_may("204", THIRD)
    assert not here.access.extension_may("205", OTHER)


def test_who_has_a_number_by_a_rule_answers_by_it(here: Gateway) -> None:
    with_rules(here, {"name": "A", "to": [OTHER], "deliver": {"group": "sales"}}, **GROUP)
    receive_text(here, "hello", number=OTHER)
    (question,) = stored_messages(here)
    assert question.routed
    device = Device(id="d", extension="203")
    reply = Reply("Hi", conversation_id=question.conversation_id)
    message, _ = here.composer.submit(device, reply)
    assert (message.number, message.rule) == (OTHER, None)


def test_texts_that_waited_are_delivered_by_a_new_rule(here: Gateway) -> None:
    with_rules(here)
    for n in range(3):
        receive_text(here, f"order {n}", number=OTHER)
    receive_text(here, "hello", number=OTHER)
    orders = {"name": "Orders", "to": [OTHER], "keywords": ["order"], "reply": "Thank you."}
    with_rules(here, orders | {"deliver": {"emails": ["a@example.com"]}})
    assert here.router.route_waiting() == 3
    assert here.router.route_waiting() == 0
    (waiting,) = here.store.read(unrouted.counts)
    assert waiting.count == 1
    newest, *rest = stored_messages(here)
    assert not newest.routed
    assert [one.rule for one in rest] == ["Orders"] * 3
    assert [job.target for one in rest for job in jobs_of(here, one)] == ["a@example.com"] * 3
    assert sent(here) == []  # an answer would come too late


def test_texts_that_no_rule_delivers_do_not_hide_those_that_one_does(
    here: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = messages.find
    monkeypatch.setattr(messages, "find", lambda tx, **options: find(tx, **options | {"limit": 2}))
    with_rules(here)
    for text in ("order", "hello", "hello", "hello"):
        receive_text(here, text, number=OTHER, peer=f"+1303555018{len(text)}")
    deliver = {"emails": ["a@example.com"]}
    with_rules(here, {"name": "Orders", "to": [OTHER], "keywords": ["order"], "deliver": deliver})
    assert here.operator_actions.deliver_waiting() == 1


def test_the_cost_of_a_decision_does_not_grow_with_the_rules(here: Gateway) -> None:
    """Counts the rules that are compared, which no machine's speed changes."""
    rules = []
    for n in range(125):
        rules += [
            {"name": f"a{n}", "to": [OTHER], "keywords": [f"k{n}"], "reply": "x"},
            {"name": f"b{n}", "to": [NUMBER], "keywords": [f"k{n}"], "reply": "x"},
            {"name": f"c{n}", "from": [f"+1303555{n:04}*"], "reply": "x"},
            {"name": f"d{n}", "keywords": [f"w{n} x"], "reply": "x"},
        ]
    with_rules(here, *rules)
    compiled, compared = here.settings.rules, []
    original = compiled.mismatch
    compiled.mismatch = lambda *given: compared.append(given) or original(*given)  # type: ignore
    setting = here.settings.for_number(NUMBER)
    for text, peer, expected in (
        ("hello", PEER, None),
        ("k7", PEER, "b7"),
        ("hello", "+13035550100", "c100"),
        ("w9 x", PEER, "d9"),
    ):
        compared.clear()
        found = compiled.decide(setting, InboundText(NUMBER, peer, text, 0.0))
        assert found.rule_names == expected
        assert len(compared) <= 2


def test_answers_are_forgotten_with_the_person(here: Gateway) -> None:
    with_rules(here, ANSWER)
    receive_text(here, "hello")
    receive_text(here, "hello", peer="+13035550188")
    here.store.write(lambda tx: people.forget_rest(tx, PEER, []))
    left = here.store.read(lambda tx: tx.execute(select(answers_table.c.peer)).scalars().all())
    assert left == ["+13035550188"]

"""Owners of conversations: in turn, by the first answer, handed over, done, without a device."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from services.core.errors import RequestRefused
from services.core.messages import Device, Message
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.operations import timeline
from services.store import assignments, conversations, devices
from services.store.assignments import Assignment
from services.store.database import clock
from services.store.database.schema import jobs as job_table
from services.store.database.schema import message_turns
from services.store.jobs import JobKind
from services.store.maintenance import removal
from tests.conftest import NUMBER
from tests.message_steps import jobs_of, receive_text, stored_messages

Make = Callable[..., Gateway]
TEAM = ("201", "202", "203")
ADDRESS = {"url": "http://127.0.0.1:9/push"}


def team(gateway: Gateway, assign: str) -> Gateway:
    document = {
        "version": 2,
        "numbers": [{"number": NUMBER, "carrier": "sandbox"}],
        "groups": {"sales": {"extensions": TEAM, "assign": assign}},
        "inbound": [{"name": "Sales", "to": [NUMBER], "deliver": {"group": "sales"}}],
    }
    gateway.settings.put_document(json.dumps(document).encode())
    return gateway


def add_device(gateway: Gateway, extension: str) -> str:
    """A device that ``ntfy`` notifies."""

    def work(tx) -> str:  # type: ignore[no-untyped-def]
        device, _ = devices.add(tx, extension, "phone", channel="ntfy", address=ADDRESS)
        return device.id

    return gateway.store.write(work)


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    made = make_gateway(DATABASE_URL=database)
    assert all(channel.per_device for channel in made.channels.values())
    return made


def told(gateway: Gateway, message: Message) -> list[str]:
    """The extensions whose devices a message is pushed to."""
    found = [job.target for job in jobs_of(gateway, message) if job.kind is JobKind.PUSH]
    known = gateway.store.read(lambda tx: devices.including_revoked(tx, found))
    return sorted(known[target].extension for target in found)


def text(gateway: Gateway, words: str, n: int = 1) -> Message:
    """A text of person ``n``."""
    receive_text(gateway, words, peer=f"+1303555018{n}")
    return stored_messages(gateway)[0]


def state(gateway: Gateway, message: Message) -> Assignment:
    found = gateway.store.read(lambda tx: assignments.by_id(tx, message.conversation_id))
    assert found is not None
    return found


def answer(gateway: Gateway, extension: str, message: Message) -> None:
    reply = Reply("Yes?", conversation_id=message.conversation_id)
    gateway.composer.submit(Device(id="d", extension=extension), reply)


def set_done(gateway: Gateway, message: Message) -> None:
    def work(tx) -> None:  # type: ignore[no-untyped-def]
        found = conversations.by_id(tx, message.conversation_id, [NUMBER])
        assert found is not None
        gateway.assignments.set_done(tx, found, True)

    gateway.store.write(work)


def hand_over(gateway: Gateway, message: Message, owner: str | None) -> None:
    def work(tx) -> None:  # type: ignore[no-untyped-def]
        found = conversations.by_id(tx, message.conversation_id, [NUMBER])
        assert found is not None
        gateway.assignments.hand_over(tx, found, owner)

    gateway.store.write(work)


def test_all_share_a_conversation(gateway: Gateway) -> None:
    team(gateway, "all")
    for extension in TEAM:
        add_device(gateway, extension)
    first = text(gateway, "hello")
    answer(gateway, "202", first)
    assert told(gateway, first) == list(TEAM)
    assert told(gateway, text(gateway, "more")) == list(TEAM)
    assert state(gateway, first).owner is None


def test_the_first_to_answer_owns_it(gateway: Gateway) -> None:
    team(gateway, "first-to-answer")
    for extension in TEAM:
        add_device(gateway, extension)
    first = text(gateway, "hello")
    assert told(gateway, first) == list(TEAM)
    answer(gateway, "202", first)
    answer(gateway, "203", first)  # help does not take it away
    assert state(gateway, first).owner == "202"
    assert told(gateway, text(gateway, "thanks")) == ["202"]
    assert told(gateway, text(gateway, "another person", 2)) == list(TEAM)


def test_each_gets_the_next_person_in_turn(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    for extension in ("201", "203"):  # 202 has no device
        add_device(gateway, extension)
    assert [told(gateway, text(gateway, "hello", n)) for n in range(1, 5)] == [
        ["201"],
        ["203"],
        ["201"],
        ["203"],
    ]
    assert told(gateway, text(gateway, "more", 2)) == ["203"]
    add_device(gateway, "202")
    assert told(gateway, text(gateway, "hello", 5)) == ["201"]
    assert told(gateway, text(gateway, "hello", 6)) == ["202"]


def finish_jobs(gateway: Gateway) -> None:
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(state="done")))


def turns(gateway: Gateway, message: Message) -> list[str]:
    """What the history of a message says of turns."""
    known = timeline.load(gateway.store, message.id)
    titles = [step.title for step in timeline.steps(gateway.settings, known)]
    return [title for title in titles if "turn" in title]


def test_the_history_of_a_message_names_who_had_the_turn(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    ids = [add_device(gateway, extension) for extension in TEAM]
    first = text(gateway, "hello")
    more = text(gateway, "more")  # goes to the owner
    assert turns(gateway, first) == ["In its turn, 201 of the group “sales” got it"]
    assert turns(gateway, more) == []
    gateway.store.write(lambda tx: devices.revoke(tx, ids[0]))
    gateway.assignments.release(gateway.router.give)
    assert turns(gateway, more) == ["In its turn, 202 of the group “sales” got it"]
    finish_jobs(gateway)
    everything = [first.id, more.id]
    removed = gateway.store.write(lambda tx: removal.remove(tx, everything))
    assert sorted(removed) == sorted(everything)
    left = gateway.store.read(lambda tx: tx.execute(select(message_turns)).all())
    assert left == []


def test_without_messages_nobody_gets_what_an_owner_without_a_device_had(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    ids = [add_device(gateway, extension) for extension in TEAM]
    first = text(gateway, "hello")
    at = gateway.store.read(clock.now) + 3600.0
    reply = Reply("later", conversation_id=first.conversation_id, send_at=at)
    gateway.composer.submit(Device(id="d", extension="201"), reply)
    finish_jobs(gateway)
    gateway.store.write(lambda tx: removal.remove(tx, [first.id]))
    gateway.store.write(lambda tx: devices.revoke(tx, ids[0]))
    assert gateway.assignments.release(gateway.router.give) == 1
    assert state(gateway, first).owner is None


def test_the_turn_goes_on_at_another_process(make_gateway: Make) -> None:
    one = team(make_gateway(), "round-robin")
    for extension in TEAM:
        add_device(one, extension)
    other = make_gateway()
    turns = [told(gateway, text(gateway, "hi", n)) for n, gateway in enumerate((one, other, one))]
    assert turns == [["201"], ["202"], ["203"]]


def test_without_any_device_it_is_nobodys(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    first = text(gateway, "hello")
    assert (told(gateway, first), state(gateway, first).owner) == ([], None)
    add_device(gateway, "203")
    assert told(gateway, text(gateway, "anybody?")) == ["203"]


def test_a_text_opens_what_was_done_and_it_goes_to_the_next(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    for extension in TEAM:
        add_device(gateway, extension)
    first = text(gateway, "hello")
    set_done(gateway, first)
    assert state(gateway, first).done_at is not None
    assert told(gateway, text(gateway, "once more")) == ["202"]
    assert (state(gateway, first).done_at, state(gateway, first).owner) == (None, "202")


def test_a_conversation_without_a_group_is_opened_again(make_gateway: Make) -> None:
    gateway = make_gateway({"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]})
    first = text(gateway, "hello")
    set_done(gateway, first)
    text(gateway, "more")
    assert state(gateway, first).done_at is None


def test_an_owner_hands_over(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    for extension in TEAM:
        add_device(gateway, extension)
    first = text(gateway, "hello")
    hand_over(gateway, first, "203")
    assert told(gateway, text(gateway, "more")) == ["203"]
    with pytest.raises(RequestRefused, match="Extension 209 does not have"):
        hand_over(gateway, first, "209")
    hand_over(gateway, first, None)
    assert told(gateway, text(gateway, "who?")) == ["202"]


@pytest.mark.parametrize(
    ("assign", "then"), [("round-robin", ["202"]), ("first-to-answer", ["202", "203"])]
)
def test_an_owner_without_a_device_loses_it(gateway: Gateway, assign: str, then: list[str]) -> None:
    team(gateway, assign)
    ids = [add_device(gateway, extension) for extension in TEAM]
    first = text(gateway, "hello")
    answer(gateway, "201", first)
    kept = text(gateway, "two")
    assert told(gateway, kept) == ["201"]
    assert gateway.assignments.release(gateway.router.give) == 0
    gateway.store.write(lambda tx: devices.revoke(tx, ids[0]))
    assert gateway.assignments.release(gateway.router.give) == 1
    assert sorted({*told(gateway, kept)} - {"201"}) == then
    assert gateway.assignments.release(gateway.router.give) == 0
    assert told(gateway, text(gateway, "three")) == then


def test_the_next_text_does_not_wait_for_the_release(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    ids = [add_device(gateway, extension) for extension in TEAM]
    first = text(gateway, "hello")
    gateway.store.write(lambda tx: devices.revoke(tx, ids[0]))
    assert told(gateway, text(gateway, "more")) == ["202"]
    assert state(gateway, first).owner == "202"


def test_an_owner_who_has_lost_the_number_is_not_notified(gateway: Gateway) -> None:
    team(gateway, "round-robin")
    for extension in TEAM:
        add_device(gateway, extension)
    text(gateway, "hello")
    content = gateway.settings.document().replace(b'"201",', b"")
    gateway.settings.put_document(content)
    assert told(gateway, text(gateway, "more")) == ["202"]

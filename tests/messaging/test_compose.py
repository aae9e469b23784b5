"""Replies from an extension: accepted once, split, refused by field, from the right number."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.core.errors import RequestRefused
from services.core.messages import Device, Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import (
    PHONE,
    raw_call,
    receive_call,
    receive_text,
    run_due_jobs,
    stored,
    stored_messages,
)

Make = Callable[..., Gateway]


def test_a_reply_leaves_by_the_carrier_and_its_states_come_back(
    make_gateway: Make, receiver: Receiver, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **receiver.env)
    message, repeated = gateway.composer.submit(PHONE, Reply(text="yes", to=(PEER,)))
    assert (message.status, repeated) == (Status.QUEUED, False)
    run_due_jobs(gateway)
    assert stored(gateway, message).status is Status.SENT
    body = f'{{"receipt": "{message.id}", "status": "delivered"}}'.encode()
    receive_call(gateway, gateway.providers["sandbox"], raw_call(gateway, body))
    run_due_jobs(gateway)
    states = [p["data"]["message"]["status"] for p in receiver.wait_for(2)]
    assert states == ["sent", "delivered"]
    assert {p["type"] for p in receiver.pushes} == {"message.updated"}


def test_a_repeated_reply_is_one_text(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    reply = Reply(text="yes", to=(PEER,), client_id="c1")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: gateway.composer.submit(PHONE, reply), range(50)))
    assert len({message.id for message, _ in taken}) == 1
    assert sorted(repeated for _, repeated in taken) == [False] + [True] * 49
    with pytest.raises(RequestRefused) as caught:
        gateway.composer.submit(PHONE, Reply(text="no", to=(PEER,), client_id="c1"))
    assert (caught.value.code, caught.value.status) == ("client_id_reused", 409)


def test_a_long_text_becomes_several_in_order(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    words = " ".join(f"word{index}" for index in range(500))
    sent: list[str] = []
    provider = gateway.providers["sandbox"]
    original = provider.send
    provider.send = lambda message: (sent.append(message.text), original(message))[1]  # type: ignore[method-assign]
    gateway.composer.submit(PHONE, Reply(text=words, to=(PEER,)))
    run_due_jobs(gateway)
    assert len(sent) == 3
    assert "".join(sent) == words
    assert all(len(text) <= provider.limits.text for text in sent)


REFUSED = [
    (Reply(text="x", to=("+++",)), "invalid_number", "to"),
    (Reply(text="x", to=("MTN",)), "not_dialable", "to"),
    (Reply(text="x", to=(NUMBER,)), "same_number", "to"),
    (Reply(text="x"), "missing", "to"),
    (Reply(text=" ", to=(PEER,)), "empty", "text"),
    (Reply(text="x", to=(PEER,), sender="+12025550199"), "number_not_yours", "from"),
    (Reply(text="x", to=(PEER,), sender="zzz"), "invalid_number", "from"),
    (Reply(text="x", conversation_id="none"), "not_found", "conversation_id"),
    (Reply(text="x", to=(PEER,), media_ids=("none",)), "unknown_file", "media_ids"),
    (
        Reply(text="x", to=tuple(f"+130355501{index}" for index in range(10, 21))),
        "too_many_recipients",
        "to",
    ),
]


@pytest.mark.parametrize(
    ("reply", "code", "field"), REFUSED, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_reply_that_cannot_leave_is_refused_by_the_name_of_its_field(
    make_gateway: Make, reply: Reply, code: str, field: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    with pytest.raises(RequestRefused) as caught:
        gateway.composer.submit(PHONE, reply)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert stored_messages(gateway) == []


def test_an_extension_without_a_number_is_refused_with_the_reason(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    with pytest.raises(RequestRefused, match="has no number yet") as caught:
        gateway.composer.submit(Device(id="x", extension="299"), Reply(text="x", to=(PEER,)))
    assert caught.value.status == 403


def test_a_reply_leaves_from_the_number_that_the_peer_last_wrote_to(make_gateway: Make) -> None:
    other = NUMBER_ENTRY | {"number": "+12025550101"}
    gateway = make_gateway(NUMBER_ENTRY, other)
    first, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    assert first.number == NUMBER
    receive_text(gateway, number="+12025550101")
    second, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    assert second.number == "+12025550101"

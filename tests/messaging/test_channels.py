"""WhatsApp and RCS at Twilio: taken in on the number that they name, answered by the same way."""

from collections.abc import Callable

import pytest

from services.core.errors import RequestRefused
from services.core.messages import Message, message_object
from services.gateway import Gateway
from services.messaging.compose import Reply
from tests import payload_files
from tests.conftest import NUMBER_ENTRY
from tests.message_steps import PHONE, store_parts, stored_messages

Make = Callable[..., Gateway]
NUMBER, PERSON = "+12025550143", "+13035550177"


@pytest.fixture
def twilio(make_gateway: Make) -> Gateway:
    """A gateway with Twilio, at which extension 201 has a number."""
    entry = NUMBER_ENTRY | {"number": NUMBER, "carrier": "twilio"}
    return make_gateway(entry, **payload_files.settings("twilio"))


def receive(gateway: Gateway, name: str) -> Message:
    call = payload_files.read_request(payload_files.FOLDER / f"twilio/{name}.http").call
    provider = gateway.providers["twilio"]
    [(outcome, message_id)] = store_parts(gateway, provider, call)
    assert outcome == "received"
    return next(message for message in stored_messages(gateway) if message.id == message_id)


@pytest.mark.parametrize("channel", ["whatsapp", "rcs"])
def test_what_comes_by_a_channel_is_delivered_and_answered_there(
    twilio: Gateway, channel: str
) -> None:
    message = receive(twilio, f"receive_{channel}")
    assert (message.number, message.peer, message.routed) == (NUMBER, f"{channel}:{PERSON}", True)
    assert message_object(message, lambda _: "")["channel"] == channel

    by_id = Reply(text="x", conversation_id=message.conversation_id)
    for reply in (by_id, Reply(text="x", to=(f"{channel}:{PERSON}",))):
        answer, _ = twilio.composer.submit(PHONE, reply)
        assert answer.peer == f"{channel}:{PERSON}"
        assert answer.conversation_id == message.conversation_id
    text, _ = twilio.composer.submit(PHONE, Reply(text="x", to=(PERSON,)))
    assert text.conversation_id != message.conversation_id, "an SMS is another conversation"


def test_a_text_to_an_rcs_agent_is_unassigned(twilio: Gateway) -> None:
    message = receive(twilio, "receive_rcs_agent")
    assert (message.number, message.routed) == ("rcs:harbour_cafe_agent", False)


def test_a_country_that_is_not_allowed_is_not_reached_by_a_channel_either(
    twilio: Gateway,
) -> None:
    with pytest.raises(RequestRefused, match="another country"):
        twilio.composer.submit(PHONE, Reply(text="x", to=("whatsapp:+447911123456",)))


def test_a_carrier_without_the_channel_refuses_it(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    with pytest.raises(RequestRefused) as caught:
        gateway.composer.submit(PHONE, Reply(text="x", to=(f"whatsapp:{PERSON}",)))
    assert (caught.value.code, caught.value.field) == ("channel_not_carried", "to")


def test_a_person_is_forgotten_at_whatsapp_and_rcs_too(twilio: Gateway) -> None:
    receive(twilio, "receive_whatsapp")
    receive(twilio, "receive_rcs")
    receive(twilio, "receive_odd_sender")
    assert twilio.retention.forget(PERSON, twilio.retention.person(PERSON)) == 2
    assert [message.peer for message in stored_messages(twilio)] == ["Ihre Bank/Müller"]

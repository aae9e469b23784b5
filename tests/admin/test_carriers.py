"""Carrier pages: what is set up, what was received, problems with their remedies."""

from collections.abc import Callable

import pytest
import responses

from services.core.errors import InvalidWebhook
from services.core.messages import Device, Message, WebhookCall
from services.messaging.compose import Reply
from services.store import carrier_events
from services.store.carrier_events import CarrierEventKind
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, PEER
from tests.message_steps import receive_call

Make = Callable[..., Operator]
TWILIO = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "APP_URL": "https://sms.example.com",
}


def test_those_that_are_off_say_what_turns_them_on(make_operator: Make) -> None:
    operator = make_operator(**TWILIO)
    listed = plain(operator.get("/carriers"))
    assert "Twilio configured" in listed
    assert "Wavix not configured" in listed
    page = plain(operator.get("/carriers/wavix"))
    assert "WAVIX_API_KEY required" in page
    operator.get("/carriers/nobody", 404)


def test_the_webhooks_address_is_there_to_copy(make_operator: Make) -> None:
    page = make_operator(**TWILIO).get("/carriers/twilio")
    assert 'data-copy="https://sms.example.com/webhook/twilio/sms"' in page
    assert "works on this machine only" not in page
    assert "works on this machine only" in make_operator(**(TWILIO | {"APP_URL": ""})).get(
        "/carriers/twilio"
    )


def test_a_refused_call_is_told_until_an_authentic_one_comes(operator: Operator) -> None:
    gateway = operator.gateway
    provider = gateway.providers["sandbox"]
    forged = WebhookCall("POST", {}, "token=<script>", b"{}", "192.0.2.66")
    with pytest.raises(InvalidWebhook):
        receive_call(gateway, provider, forged)
    assert "The last call was refused. From 192.0.2.66" in plain(operator.get("/carriers/sandbox"))
    assert "a webhook was refused" in operator.get("/carriers")
    receive_call(
        gateway,
        provider,
        provider.example(Message(direction="in", number=NUMBER, peer=PEER, text="hello")),
    )
    page = plain(operator.get("/carriers/sandbox"))
    assert "The last call was refused" not in page
    assert "Sandbox works" in plain(operator.get("/carriers"))


@responses.activate
def test_the_check_says_what_the_carrier_said(make_operator: Make) -> None:
    operator = make_operator(**TWILIO)
    account = f"https://api.twilio.com/2010-04-01/Accounts/{TWILIO['TWILIO_ACCOUNT_SID']}.json"
    responses.get(account, status=401, json={"code": 20003, "message": "Authenticate"})
    page = plain(operator.post("/carriers/twilio/check"))
    assert "something must be fixed" in page
    assert "to be fixed" in operator.get("/carriers")
    assert "Twilio: something must be fixed" in plain(operator.get("/"))
    operator.post("/carriers/wavix/check", status=404)


def test_texts_from_outside_stay_text(operator: Operator) -> None:
    hostile = "<script>alert(1)</script>\u202e" + "\U0001f600" * 100
    operator.gateway.store.write(
        lambda tx: [
            carrier_events.put(tx, "sandbox", event, hostile)
            for event in CarrierEventKind
            if event != "check"
        ]
    )
    page = operator.get("/carriers/sandbox")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_send_that_failed_is_told_until_one_succeeds(make_operator: Make) -> None:
    operator = make_operator(
        {"number": NUMBER, "carrier": "twilio", "extensions": ["201"]}, **TWILIO
    )
    gateway = operator.gateway
    gateway.composer.submit(Device("none", "201"), Reply(to=(PEER,), text="hello"))
    with responses.RequestsMock() as twilio:
        twilio.post(
            f"https://api.twilio.com/2010-04-01/Accounts/{TWILIO['TWILIO_ACCOUNT_SID']}/Messages.json",
            status=400,
            json={"code": 21610, "message": "Attempt to send to unsubscribed recipient"},
        )
        gateway.delivery.deliver("test", lambda _: 1, gateway.delivery.perform)
    assert "21610" in plain(operator.get("/carriers/twilio"))
    assert "the last send failed" in operator.get("/carriers")

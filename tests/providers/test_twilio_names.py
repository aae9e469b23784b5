"""Senders at Twilio: any name is taken, also one with the words of Twilio's own fields in it."""

from urllib.parse import urlencode

import pytest

from services.core.errors import InvalidWebhook
from services.core.messages import Message, WebhookCall
from services.providers.twilio.signature import signature
from tests import payload_files

SETTINGS = payload_files.settings("twilio")
HOOK = f"{payload_files.APP_URL}/webhook/twilio/sms"
TEXT = {
    "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"],
    "Body": "Your order is ready",
    "From": "+13035550177",
    "MessageSid": "SM00000000000000000000000000000009",
    "NumMedia": "0",
    "NumSegments": "1",
    "SmsStatus": "received",
    "To": "+12025550143",
}
NAMES = ["MediaMarkt", "MessageBird", "Messages", "Fromage", "Fred From A", "MultiMedia", "Body"]


def signed(fields: dict[str, str], sent: dict[str, str]) -> WebhookCall:
    """A call with the fields ``sent`` and the signature of ``fields``."""
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": signature(SETTINGS["TWILIO_AUTH_TOKEN"], HOOK, fields.items()),
    }
    return WebhookCall("POST", headers, "", urlencode(sent).encode())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_the_word_of_a_field_in_it_is_a_sender(name: str) -> None:
    provider = payload_files.provider("twilio", SETTINGS)
    call = signed(TEXT | {"From": name}, TEXT | {"From": name})
    provider.verify(call)
    [message] = provider.parse(call)
    assert isinstance(message, Message)
    assert message.peer == name


@pytest.mark.parametrize(
    ("real", "cut"),
    [
        ({"Body": "I am Fromhim"}, {"Body": "I am ", "From": "himFrom+13035550177"}),
        (
            {"Body": "I am Fromhim", "From": "whatsapp:+13035550177"},
            {"Body": "I am ", "From": "himFromwhatsapp:+13035550177"},
        ),
        ({"FromCity": "Denver"}, {"From": "+13035550177FromCityDenver", "FromCity": None}),
        (
            {"MediaContentType0": "image/png", "MediaUrl0": "https://x.example/1"},
            {
                "From": "+13035550177MediaContentType0image/pngMediaUrl0https://x.example/1",
                "MediaContentType0": None,
                "MediaUrl0": None,
            },
        ),
    ],
)
def test_fields_that_are_cut_at_another_place_are_no_sender(
    real: dict[str, str], cut: dict[str, str | None]
) -> None:
    """The signature is the same, because it covers the fields without what divides them."""
    fields = TEXT | real
    changed: dict[str, str | None] = {**fields, **cut}
    sent = {name: value for name, value in changed.items() if value is not None}
    key = SETTINGS["TWILIO_AUTH_TOKEN"]
    assert signature(key, HOOK, sent.items()) == signature(key, HOOK, fields.items())
    provider = payload_files.provider("twilio", SETTINGS)
    provider.verify(signed(fields, fields))
    with pytest.raises(InvalidWebhook):
        provider.verify(signed(fields, sent))

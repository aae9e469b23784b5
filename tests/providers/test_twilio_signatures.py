"""Twilio's calls with new parameters, and those that are signed with a shared key."""

from collections.abc import Iterable
from urllib.parse import urlencode

import pytest

from services.core.errors import InvalidWebhook
from services.core.messages import Message, WebhookCall
from services.providers.base import Provider
from services.providers.twilio.signature import signature
from tests import payload_files

SETTINGS = payload_files.settings("twilio")
HOOK = f"{payload_files.APP_URL}/webhook/twilio/sms"
SECRET = "a-shared-key-of-the-tests"
KEY = "WK00000000000000000000000000000001"
SMS = {
    "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"],
    "MessageSid": "SM00000000000000000000000000000009",
    "From": "+13035550177",
    "To": "+12025550143",
    "Body": "Are you open today?",
    "NumMedia": "0",
    "NumSegments": "1",
    "SmsStatus": "received",
}


def twilio(**more: str) -> Provider:
    return payload_files.provider("twilio", SETTINGS | more)


def call(
    form: Iterable[tuple[str, str]], key: str, algorithm: str = "sha1", **headers: str
) -> WebhookCall:
    form = list(form)
    signed = signature(key, HOOK, form, algorithm)
    kind = "application/x-www-form-urlencoded"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    whole = {"content-type": kind, "x-twilio-signature": signed, **named}
    return WebhookCall("POST", whole, "", urlencode(form).encode())


@pytest.mark.parametrize(
    "new",
    [
        {"BodyLanguage": "en"},
        {"NumSegmentsBilled": "1"},
        {"Num": "4"},
        {"Media": "none"},
        {"MediaCount": "0"},
        {"Error": ""},
        {"waTier": "standard"},
        {"Risk.Score": "0.5", "risk_score": "1", "A": ""},
        {"x" * 90: "y"},
    ],
    ids=lambda new: ", ".join(new)[:30],
)
def test_a_signed_call_with_a_new_parameter_is_taken(new: dict[str, str]) -> None:
    provider = twilio()
    signed = call([*SMS.items(), *new.items()], SETTINGS["TWILIO_AUTH_TOKEN"])
    provider.verify_head(signed)
    provider.verify(signed)
    [message] = provider.parse(signed)
    assert isinstance(message, Message)
    assert message.text == SMS["Body"]


SETTINGS_HEADER = f"key={KEY},algorithm=HMAC_SHA256"


@pytest.mark.parametrize("written", [SETTINGS_HEADER, f"algorithm=HMAC_SHA256, key={KEY}"])
def test_a_call_signed_with_the_shared_key_is_taken(written: str) -> None:
    signed = call(SMS.items(), SECRET, "sha256", x_twilio_webhooks_signature_settings=written)
    provider = twilio(TWILIO_SHARED_KEY=SECRET)
    provider.verify_head(signed)
    provider.verify(signed)
    # Another address of the account may have no rule: it goes on with the auth token.
    provider.verify(call(SMS.items(), SETTINGS["TWILIO_AUTH_TOKEN"]))


def test_without_the_shared_key_the_refusal_names_its_variable() -> None:
    signed = call(
        SMS.items(), SECRET, "sha256", x_twilio_webhooks_signature_settings=SETTINGS_HEADER
    )
    for check in (twilio().verify_head, twilio().verify):
        with pytest.raises(InvalidWebhook, match="TWILIO_SHARED_KEY"):
            check(signed)


@pytest.mark.parametrize(
    ("key", "algorithm", "written"),
    [
        ("another-shared-key", "sha256", SETTINGS_HEADER),
        (SECRET, "sha1", SETTINGS_HEADER),
        (SETTINGS["TWILIO_AUTH_TOKEN"], "sha256", SETTINGS_HEADER),
        (SETTINGS["TWILIO_AUTH_TOKEN"], "sha1", SETTINGS_HEADER),
        (SETTINGS["TWILIO_AUTH_TOKEN"], "sha1", ""),
        (SECRET, "sha256", f"key={KEY},algorithm=HMAC_MD5"),
        (SECRET, "sha256", f"key={KEY}"),
        ("", "sha256", SETTINGS_HEADER),
    ],
)
def test_another_key_or_algorithm_lets_nobody_in(key: str, algorithm: str, written: str) -> None:
    signed = call(SMS.items(), key, algorithm, x_twilio_webhooks_signature_settings=written)
    with pytest.raises(InvalidWebhook):
        twilio(TWILIO_SHARED_KEY=SECRET).verify(signed)

"""VoIP.ms provider, over real connections to a fake that checks each request."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from services.config import variables
from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import (
    Attachment,
    Device,
    Finding,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
)
from services.gateway import Gateway
from services.http.client import Answer, Http
from services.messaging.compose import Reply
from services.providers.base import ProviderContext
from services.providers.voipms import VoipMs
from services.providers.voipms import lookup as voipms_lists
from services.providers.voipms.webhook import from_callback
from tests.conftest import NUMBER_ENTRY
from tests.fakes.bandwidth import Answer as OddAnswer
from tests.fakes.bandwidth import Trouble
from tests.fakes.voipms import FakeVoipMs, as_json, did

OURS, PEER = "+12025550143", "+13035550177"
TEN, THEIRS = "2025550143", "3035550177"
TEXT = Message("out", OURS, PEER, text="Yes, until 6")


@pytest.fixture(autouse=True)
def _just_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is written when the test runs: carriers are asked for a time."""
    now = time.time()
    written = replace(TEXT, created_at=now, updated_at=now)
    monkeypatch.setitem(globals(), "TEXT", written)


PICTURE = Attachment(source_url="https://sms.example.com/media/1.jpg", content_type="image/jpeg")
TOKEN = "a-webhook-token"
PHONE = Device(id="d", extension="201")
SETTING = NUMBER_ENTRY | {"carrier": "voipms", "number": OURS}

Make = Callable[..., Gateway]


class HastyHttp(Http):
    """The way out, with less patience."""

    def request(self, *args: Any, **more: Any) -> Answer:
        return super().request(*args, **{**more, "seconds": 0.5})


def carrier(fake: FakeVoipMs, http: Http | None = None, **env: str) -> VoipMs:
    settings, problems = variables.load(VoipMs.Settings, "VOIPMS_", {**fake.env, **env})
    assert settings is not None, problems
    return VoipMs(settings, ProviderContext(http or Http(), TOKEN, "https://x.example"))


@pytest.fixture
def fake() -> Iterator[FakeVoipMs]:
    with FakeVoipMs() as server:
        yield server


def posted(provider: VoipMs, body: dict[str, Any]) -> Parsed:
    [parsed] = provider.parse(WebhookCall("POST", {}, "", as_json(body)))
    return parsed


# Sending


def test_a_text_is_taken_once_by_its_ten_digits(fake: FakeVoipMs) -> None:
    sent = carrier(fake).send(TEXT)

    [taken] = fake.accepted
    assert (f"sms:{taken['id']}", taken["did"], taken["dst"]) == (sent, TEN, THEIRS)
    assert taken["message"] == "Yes, until 6"


LONG = [
    ("mms", "x" * 161, ["mms"]),
    ("mms", "Yes 😀", ["mms"]),
    ("split", "Yes 😀", ["sms"]),
    ("split", "x" * 161, ["mms"]),
    ("reject", "Yes 😀", ["sms"]),
    ("reject", "x" * 161, []),
]


@pytest.mark.parametrize(("choice", "text", "kinds"), LONG)
def test_what_does_not_fit_goes_as_the_operator_has_chosen(
    fake: FakeVoipMs, choice: str, text: str, kinds: list[str]
) -> None:
    provider = carrier(fake, VOIPMS_LONG_TEXT=choice)
    refused = pytest.raises(SendError, match="too long for one SMS")

    with nullcontext() if kinds else refused:
        provider.send(replace(TEXT, text=text))

    assert [(taken["kind"], taken["message"]) for taken in fake.accepted] == [
        (kind, text) for kind in kinds
    ]


@pytest.mark.parametrize(
    ("choice", "most", "splits"),
    [("mms", 2048, True), ("split", 160, True), ("reject", 160, False)],
)
def test_the_limits_follow_the_choice(
    fake: FakeVoipMs, choice: str, most: int, splits: bool
) -> None:
    limits = carrier(fake, VOIPMS_LONG_TEXT=choice).limits

    assert (limits.text, limits.splits) == (most, splits)


def test_pictures_go_as_links(fake: FakeVoipMs) -> None:
    sent = carrier(fake).send(replace(TEXT, text="", media=(PICTURE, PICTURE)))

    [taken] = fake.accepted
    assert sent == f"mms:{taken['id']}"
    assert (taken["media1"], taken["media2"]) == (PICTURE.source_url, PICTURE.source_url)
    assert "media3" not in taken


ODD = [
    (Trouble.CUT, Kind.UNKNOWN, 1),
    (Trouble.HANG, Kind.UNKNOWN, 1),
    (Trouble.DROP, Kind.UNKNOWN, 0),
    (OddAnswer(524, b"<html>"), Kind.UNKNOWN, 0),
    (OddAnswer(429, b"slow"), Kind.RETRY, 0),
    (OddAnswer(301, b""), Kind.CONFIG, 0),
    ("limit_reached", Kind.RETRY, 0),
    ("api_limit_exceeded", Kind.RETRY, 0),
    ("api_not_enabled", Kind.CONFIG, 0),
    ("non_sufficient_funds", Kind.CONFIG, 0),
    ("sms_apply_regulations", Kind.REFUSED, 0),
]


@pytest.mark.parametrize(("odd", "kind", "taken"), ODD)
def test_every_kind_of_failure_says_what_follows(
    fake: FakeVoipMs, odd: Any, kind: Kind, taken: int
) -> None:
    fake.next("sendSMS", odd)

    with pytest.raises(SendError) as caught:
        carrier(fake, HastyHttp()).send(TEXT)

    assert caught.value.kind is kind
    assert len(fake.accepted) == taken
    assert fake.password not in str(caught.value)


def test_a_dead_address_can_be_tried_again_and_names_no_password(fake: FakeVoipMs) -> None:
    provider = carrier(fake, VOIPMS_BASE_URL="http://127.0.0.1:1/rest.php")

    with pytest.raises(SendError) as caught:
        provider.send(TEXT)
    assert caught.value.kind is Kind.RETRY
    assert fake.password not in repr(caught.value) + repr(provider.settings)


def test_wrong_credentials_and_a_foreign_number_are_told_apart(fake: FakeVoipMs) -> None:
    with pytest.raises(SendError, match="VOIPMS_API_PASSWORD") as caught:
        carrier(fake, VOIPMS_API_PASSWORD="another password").send(TEXT)
    assert caught.value.kind is Kind.CONFIG
    assert "another password" not in str(caught.value)

    with pytest.raises(SendError, match="Manage DIDs") as caught:
        carrier(fake).send(replace(TEXT, number="+12025550199"))
    assert caught.value.kind is Kind.REFUSED


GRID = [
    ("mms", [("mms", "x" * 300)]),
    ("split", [("sms", "x" * 160), ("sms", "x" * 140)]),
]


@pytest.mark.parametrize(("choice", "taken"), GRID)
def test_a_long_answer_from_the_app_goes_as_the_operator_has_chosen(
    fake: FakeVoipMs, make_gateway: Make, choice: str, taken: list[tuple[str, str]]
) -> None:
    gateway = make_gateway(SETTING, **fake.env, VOIPMS_LONG_TEXT=choice)

    gateway.composer.submit(PHONE, Reply(text="x" * 300, to=(PEER,)))
    for _ in taken:
        gateway.delivery.deliver("w", lambda _: 8, gateway.delivery.perform)

    assert [(message["kind"], message["message"]) for message in fake.accepted] == taken


def test_a_long_answer_from_the_app_is_refused_where_it_is_not_wanted(
    fake: FakeVoipMs, make_gateway: Make
) -> None:
    gateway = make_gateway(SETTING, **fake.env, VOIPMS_LONG_TEXT="reject")

    with pytest.raises(RequestRefused, match="at most 160 characters") as caught:
        gateway.composer.submit(PHONE, Reply(text="x" * 161, to=(PEER,)))
    assert (caught.value.code, caught.value.field) == ("text_too_long", "text")

    gateway.composer.submit(PHONE, Reply(text="x" * 160, to=(PEER,)))


# The callback without an id


def test_without_an_id_the_same_words_in_the_same_half_hour_are_one() -> None:
    said = [("from", THEIRS), ("to", TEN), ("message", "Hello"), ("id", "{ID}")]

    first, soon, later = (from_callback(said, now).provider_id for now in (3600.0, 5399.0, 5400.0))
    other = from_callback([*said, ("media", "https://voip.ms/media/a.png")], 3600.0).provider_id

    assert first == soon != later
    assert other not in (first, soon)
    for moment in ("1", "2"):
        ids = {from_callback([*said, ("ts", moment)], now).provider_id for now in (0.0, 1e6)}
        assert len(ids) == 1


# Looking up what was sent


@pytest.mark.parametrize("media", [(), (PICTURE,)])
def test_a_lost_answer_is_found_in_the_lists(fake: FakeVoipMs, media: tuple[Any, ...]) -> None:
    provider = carrier(fake, HastyHttp())
    message = replace(TEXT, media=media)
    fake.next("sendMMS" if media else "sendSMS", Trouble.CUT)
    with pytest.raises(SendError):
        provider.send(message)

    found = provider.find_sent(message)

    [taken] = fake.accepted
    assert found is not None
    assert found.provider_id == f"{taken['kind']}:{taken['id']}"
    assert (found.status, found.message_id, found.peer) == (Status.SENT, message.id, PEER)


NOW = datetime.now(UTC)
OTHERS = {
    "another text": {"text": "Yes, until 7"},
    "to somebody else": {"contact": "3035550122"},
    "from another number": {"number": "2025550199"},
    "the same words of somebody else": {"direction": "1"},
    "the same words before": {"at": NOW - timedelta(minutes=2)},
    "the same words much later": {"at": NOW + timedelta(hours=2)},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("kind", ["sms", "mms"])
def test_what_never_arrived_is_not_found(
    fake: FakeVoipMs, kind: str, other: dict[str, Any]
) -> None:
    row = {"direction": "0", "number": TEN, "contact": THEIRS, "text": TEXT.text, "at": NOW}
    message = replace(TEXT, created_at=NOW.timestamp(), updated_at=NOW.timestamp())
    fake.keep(kind, **{**row, **other})

    assert carrier(fake).find_sent(message) is None

    fake.keep(kind, **row)
    assert carrier(fake).find_sent(message) is not None


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_list_that_is_off_by_an_hour_settles_an_unknown_send(
    fake: FakeVoipMs, hours: int
) -> None:
    message = replace(TEXT, created_at=NOW.timestamp(), updated_at=NOW.timestamp())
    row = {"direction": "0", "number": TEN, "contact": THEIRS, "text": TEXT.text}
    shifted = fake.keep("sms", **row, at=NOW + timedelta(hours=hours))
    found = carrier(fake).find_sent(message)
    assert found is not None
    assert found.provider_id == f"sms:{shifted['id']}"

    exact = fake.keep("sms", **row, at=NOW)
    found = carrier(fake).find_sent(message)
    assert found is not None
    assert found.provider_id == f"sms:{exact['id']}"


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("Information not available", Status.SENT),
        ("", Status.SENT),
        ("Message delivered to handset", Status.DELIVERED),
        ("DELIVERED", Status.DELIVERED),
        ("Undelivered", Status.FAILED),
        ("Not delivered", Status.FAILED),
        ("Rejected by carrier", Status.FAILED),
        ("Delivery failed", Status.FAILED),
    ],
)
def test_the_state_of_a_sent_text_is_asked_for_by_its_id(
    fake: FakeVoipMs, told: str, status: Status
) -> None:
    provider = carrier(fake)
    first, second = provider.send(TEXT), provider.send(TEXT)
    fake.messages["sms"][0]["carrier_status"] = told
    before = len(fake.requests)

    found = provider.find_sent(replace(TEXT, provider_id=first))

    assert found is not None
    assert (found.provider_id, found.status) == (first, status)
    assert (found.reason is not None) == (status is Status.FAILED)
    assert first != second
    assert [asked["method"] for asked in fake.requests[before:]] == ["getSMS"]


def test_a_look_up_that_fails_can_be_repeated(fake: FakeVoipMs) -> None:
    for odd in (Trouble.CUT, OddAnswer(500, b"<html>"), "method_maintenance"):
        fake.next("getMMS", odd)
        with pytest.raises(SendError) as caught:
            carrier(fake, HastyHttp()).find_sent(TEXT)
        assert caught.value.kind is Kind.RETRY


# What was missed


def test_what_was_missed_is_the_same_as_by_webhook(fake: FakeVoipMs) -> None:
    provider = carrier(fake)
    now = datetime.now(UTC).replace(microsecond=0)
    link = "https://voip.ms/media/QUJDREVG/media.png"
    bodies = [
        fake.receive("", sender=THEIRS, to=TEN, at=now, media=[link]),
        fake.receive("Grüße 😀 a+b", sender=THEIRS, to=TEN, at=now - timedelta(minutes=5)),
        fake.receive("Your code", sender="29283", to=TEN, at=now),
    ]
    fake.keep("sms", "0", TEN, THEIRS, "our own words")

    found = list(provider.missed((now - timedelta(minutes=10)).timestamp()))

    def seen(parsed: Parsed) -> tuple[Any, ...]:
        assert isinstance(parsed, Message)
        links = [file.source_url for file in parsed.media]
        parties = (parsed.number, parsed.peer, parsed.text, parsed.carrier_time)
        return (parsed.provider_id, *parties, links)

    assert sorted(map(seen, found)) == sorted(seen(posted(provider, body)) for body in bodies)
    ids = {parsed.provider_id for parsed in found if isinstance(parsed, Message)}
    assert {"sms:110990001", "mms:110990001"} <= ids


def test_older_messages_are_left_alone(fake: FakeVoipMs) -> None:
    now = datetime.now(UTC)
    fake.receive("old", sender=THEIRS, to=TEN, at=now - timedelta(hours=3))
    fake.receive("older", sender=THEIRS, to=TEN, at=now - timedelta(days=80))
    fake.receive("new", sender=THEIRS, to=TEN, at=now)

    def texts(since: timedelta) -> list[str]:
        found = carrier(fake).missed((now - since).timestamp())
        return sorted(parsed.text for parsed in found if isinstance(parsed, Message))

    assert texts(timedelta(hours=1)) == ["new"]
    assert texts(timedelta(days=1)) == ["new", "old"]
    assert texts(timedelta(days=1000)) == ["new", "old", "older"]


def test_an_mms_that_stands_in_both_lists_comes_once(fake: FakeVoipMs) -> None:
    now = datetime.now(UTC)
    fake.keep("mms", "1", TEN, THEIRS, "look", at=now, media=["https://voip.ms/media/a/a.png"])
    fake.keep("sms", "1", TEN, THEIRS, "look", at=now + timedelta(seconds=3))
    fake.keep("sms", "1", TEN, THEIRS, "look", at=now + timedelta(seconds=60))

    found = list(carrier(fake).missed(now.timestamp()))

    assert [parsed.provider_id for parsed in found if isinstance(parsed, Message)] == [
        "mms:110990001",
        "sms:110990002",
    ]


def test_the_files_of_an_mms_without_any_are_asked_for(fake: FakeVoipMs) -> None:
    now = datetime.now(UTC)
    row = fake.keep("mms", "1", TEN, THEIRS, "", at=now)
    fake.media[row["id"]] = ["https://voip.ms/media.php?map=QUJD"]

    [found] = carrier(fake).missed(now.timestamp())

    assert isinstance(found, Message)
    assert [file.source_url for file in found.media] == fake.media[row["id"]]


def test_a_row_that_cannot_be_read_is_kept_beside_the_others(fake: FakeVoipMs) -> None:
    now = datetime.now(UTC)
    fake.keep("sms", "1", TEN, THEIRS, "good", at=now)
    fake.keep("sms", "1", TEN, THEIRS, "bad", at=now)["id"] = None

    bad, good = carrier(fake).missed(now.timestamp())

    assert isinstance(bad, Unreadable)
    assert isinstance(good, Message)
    assert good.text == "good"


def test_a_full_list_is_asked_for_in_parts(
    fake: FakeVoipMs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voipms_lists, "MOST_ROWS", 4)
    now = datetime.now(UTC)
    for day in range(5):
        for text in "abc":
            at = now - timedelta(days=day)
            fake.keep("sms", "1", TEN, THEIRS, f"{text}{day}", at=at)

    found = list(carrier(fake).missed((now - timedelta(days=6)).timestamp()))

    texts = [parsed.text for parsed in found if isinstance(parsed, Message)]
    assert sorted(texts) == sorted(f"{text}{day}" for day in range(5) for text in "abc")


# The check


def checked(provider: VoipMs, *numbers: str) -> list[Finding]:
    return list(provider.check(numbers or (OURS,)))


def test_an_account_in_order_has_nothing_to_fix(fake: FakeVoipMs) -> None:
    provider = carrier(fake)
    address = provider.webhook_url
    fake.dids = [
        did(TEN, webhook=address, webhook_enabled="1"),
        did("2025550199", sms_url_callback=f"{address}&to={{TO}}", sms_url_callback_enabled=1),
    ]

    found = checked(provider, OURS, "+12025550199")

    assert [finding.ok for finding in found] == [True, True, True]
    assert TOKEN not in str(found)


FAULTS = {
    "foreign": (did("2025550199"), "not in the VoIP.ms account"),
    "no texting": (did(TEN, sms_available="0", sms_enabled="0"), "Order one that has SMS"),
    "texting off": (did(TEN, sms_enabled="0"), "enable SMS/MMS"),
    "no webhook": (did(TEN), "flask webhooks"),
    "another webhook": (did(TEN, webhook="https://y.example", webhook_enabled="1"), "paste"),
    "webhook off": (
        did(TEN, webhook=f"https://x.example/webhook/voipms/sms?token={TOKEN}"),
        "enable the SMS/MMS Webhook URL",
    ),
}


@pytest.mark.parametrize(("row", "words"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_a_number_is_told_with_the_remedy(
    fake: FakeVoipMs, row: dict[str, Any], words: str
) -> None:
    fake.dids = [row]

    account, *wrong = checked(carrier(fake))

    assert account.ok
    assert not any(finding.ok for finding in wrong)
    assert any(words in finding.text for finding in wrong)
    assert TOKEN not in str(wrong)


def test_an_account_without_numbers_and_funds_says_both(fake: FakeVoipMs) -> None:
    fake.dids, fake.balance = [], "0.00"

    assert [finding.ok for finding in checked(carrier(fake))] == [True, False, False]


def test_an_address_that_is_not_allowed_is_named(fake: FakeVoipMs) -> None:
    fake.allowed = False

    [finding] = checked(carrier(fake))

    assert not finding.ok
    assert "203.0.113.7" in finding.text


def test_wrong_credentials_are_a_finding_and_no_connection_an_error(fake: FakeVoipMs) -> None:
    [finding] = checked(carrier(fake, VOIPMS_API_PASSWORD="another password"))
    assert not finding.ok
    assert "VOIPMS_API_PASSWORD" in finding.text

    with pytest.raises(SendError):
        checked(carrier(fake, VOIPMS_BASE_URL="http://127.0.0.1:1/rest.php"))


# The fake


GOOD = {"method": "sendSMS", "did": TEN, "dst": THEIRS, "message": "x", "content_type": "json"}
ILL_FORMED = {
    "no method": ({"method": ""}, "missing_method"),
    "another method": ({"method": "sendFax"}, "invalid_method"),
    "no JSON wanted": ({"content_type": ""}, "missing_params"),
    "wrong password": ({"api_password": "x"}, "invalid_credentials"),
    "a plus": ({"dst": PEER}, "invalid_dst"),
    "our plus": ({"did": OURS}, "invalid_did"),
    "too long": ({"message": "x" * 161}, "sms_toolong"),
    "empty": ({"message": ""}, "missing_sms"),
    "a file from nowhere": ({"method": "sendMMS", "media1": "x.jpg"}, "invalid_media"),
}


@pytest.mark.parametrize(("change", "status"), ILL_FORMED.values(), ids=ILL_FORMED)
def test_the_fake_takes_no_message_that_voipms_would_refuse(
    fake: FakeVoipMs, change: dict[str, str], status: str
) -> None:
    good = {"api_username": fake.username, "api_password": fake.password, **GOOD}
    parts = {name: (None, value) for name, value in {**good, **change}.items()}

    with requests.Session() as session:
        assert session.post(fake.base_url, files=parts).json()["status"] == status
        assert session.post(fake.base_url, data=good).status_code == 500  # it is taken for SOAP
        assert session.post(fake.base_url, json=good).status_code == 500
        assert session.get(fake.base_url, params=good).json()["status"] == "success"
    assert len(fake.accepted) == 1

"""Wavix provider, over real connections to a fake that checks each request."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from services.config import variables
from services.core.errors import InvalidWebhook, Kind, MediaError, SendError
from services.core.messages import Attachment, DeliveryStatus, Message, Parsed, Status, WebhookCall
from services.http.client import Answer as HttpAnswer
from services.http.client import Http
from services.media.folder import Folder
from services.media.links import Links
from services.media.media_store import MediaStore
from services.messaging.message_checks import parts
from services.providers.base import ProviderContext
from services.providers.wavix import Wavix
from services.providers.wavix.webhook import event as wavix_event
from tests.fakes.bandwidth import Answer, Trouble
from tests.fakes.wavix import FakeWavix

OURS, PEER = "+12025550143", "+13035550177"
TEXT = Message("out", OURS, PEER, text="Yes, until 6")


@pytest.fixture(autouse=True)
def _just_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is written when the test runs: carriers are asked for a time."""
    now = time.time()
    written = replace(TEXT, created_at=now, updated_at=now)
    monkeypatch.setitem(globals(), "TEXT", written)


URL = "https://x.example/webhook/wavix/sms?token=a-webhook-token"
FILE_ID = "019cae42-8f2b-7c31-9d0e-3b1f5a7c9e21"
DAY = 86_400.0


class HastyHttp(Http):
    """The way out, with less patience."""

    def request(self, *args: Any, **more: Any) -> HttpAnswer:
        return super().request(*args, **{"seconds": 0.5, **more})


def carrier(
    fake: FakeWavix, http: Http | None = None, app_url: str = "https://x.example", **env: str
) -> Wavix:
    settings, problems = variables.load(Wavix.Settings, "WAVIX_", {**fake.env, **env})
    assert settings is not None, problems
    return Wavix(settings, ProviderContext(http or Http(), "a-webhook-token", app_url))


@pytest.fixture
def fake() -> Iterator[FakeWavix]:
    with FakeWavix() as server:
        yield server


@contextmanager
def webhook(fake: FakeWavix) -> Iterator[tuple[Wavix, list[Parsed]]]:
    """The carrier and a server for its webhooks with its checks; the list has what was parsed."""
    received: list[Parsed] = []
    provider = carrier(fake)

    class Webhooks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            call = WebhookCall("POST", {}, self.path.partition("?")[2], body)
            try:
                provider.verify(call)
                received.extend(provider.parse(call))
                self.send_response(provider.ack.status)
            except InvalidWebhook:
                self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhooks) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        provider = carrier(fake, app_url=f"http://127.0.0.1:{server.server_address[1]}")
        fake.webhook = provider.webhook_url
        yield provider, received
        server.shutdown()


def test_a_text_is_taken_once_and_carries_our_id(fake: FakeWavix) -> None:
    sent = carrier(fake).send(TEXT)

    [taken] = fake.accepted
    assert (taken["message_id"], taken["tag"]) == (sent, TEXT.id)
    assert taken["message_body"] == {"text": "Yes, until 6", "media": None}


def test_a_picture_goes_out_by_its_link(fake: FakeWavix) -> None:
    link = f"https://x.example/media/{FILE_ID}.jpg?exp=1&sig=x"
    file = Attachment(content_type="image/jpeg", state="kept", source_url=link)

    carrier(fake).send(replace(TEXT, media=(file,)))

    assert [m["message_type"] for m in fake.accepted] == ["mms"]


REFUSALS: list[tuple[str, Message, dict[str, str], Kind, str]] = [
    ("another number", replace(TEXT, number="+12025550199"), {}, Kind.REFUSED, "22"),
    ("a name that is not registered", replace(TEXT, peer="+447700900123", sender_id="Nobody"), {},
     Kind.REFUSED, "22"),
    ("too long", replace(TEXT, text="x" * 1631), {}, Kind.REFUSED, "41"),
    ("too long with an emoji", replace(TEXT, text="x" * 669 + "😀"), {}, Kind.REFUSED, "41"),
    ("nothing", replace(TEXT, text=""), {}, Kind.REFUSED, "400"),
    ("a recipient who is none", replace(TEXT, peer="MTN"), {}, Kind.REFUSED, "400"),
    ("a file of another type", replace(TEXT, media=(Attachment(source_url="https://x/a.svg"),)), {},
     Kind.REFUSED, "14"),
    ("a wrong key", TEXT, {"WAVIX_API_KEY": "another-key"}, Kind.CONFIG, "401"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "env", "kind", "code"),
    [case[1:] for case in REFUSALS],
    ids=[case[0] for case in REFUSALS],
)
def test_what_wavix_refuses_is_not_sent(
    fake: FakeWavix, message: Message, env: dict[str, str], kind: Kind, code: str
) -> None:
    with pytest.raises(SendError) as caught:
        carrier(fake, **env).send(message)

    assert (caught.value.kind, caught.value.code) == (kind, code)
    assert fake.accepted == []
    assert "another-key" not in str(caught.value)


def test_a_key_that_may_not_send_stops_the_carrier(fake: FakeWavix) -> None:
    fake.may = {"messages:read"}

    with pytest.raises(SendError, match="messages:write") as caught:
        carrier(fake).send(TEXT)
    assert caught.value.kind is Kind.CONFIG


def test_texts_that_were_split_for_wavix_are_taken(fake: FakeWavix) -> None:
    provider = carrier(fake)
    for text in ("word " * 800, "Grüße 😀 " * 200, "😀" * 1000, "я" * 700):
        divided = parts(replace(TEXT, text=text), provider.limits)
        for part in divided:
            provider.send(part)
        assert "".join(part.text for part in divided) == text
    assert len(fake.accepted) == 3 + 3 + 3 + 2


TROUBLES = [
    (Trouble.CUT, Kind.UNKNOWN, 1),
    (Trouble.HANG, Kind.UNKNOWN, 1),
    (Trouble.DROP, Kind.UNKNOWN, 0),
    (Answer(502, b"<html>"), Kind.UNKNOWN, 0),
    (Answer(429, {"success": False, "message": "Too many"}), Kind.RETRY, 0),
]


@pytest.mark.parametrize(("trouble", "kind", "taken"), TROUBLES)
def test_what_may_have_been_sent_is_not_known_until_it_is_looked_up(
    fake: FakeWavix, trouble: Any, kind: Kind, taken: int
) -> None:
    provider = carrier(fake, HastyHttp())
    fake.next(trouble)

    with pytest.raises(SendError) as caught:
        provider.send(TEXT)
    assert caught.value.kind is kind
    assert len(fake.accepted) == taken

    found = provider.find_sent(TEXT)
    assert (found is not None) == bool(taken)
    if found is not None:
        assert (found.message_id, found.provider_id, found.status) == (
            TEXT.id,
            fake.accepted[0]["message_id"],
            Status.SENT,
        )


def test_a_dead_address_can_be_tried_again(fake: FakeWavix) -> None:
    with pytest.raises(SendError) as caught:
        carrier(fake, WAVIX_BASE_URL="http://127.0.0.1:1").send(TEXT)
    assert caught.value.kind is Kind.RETRY


@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "after it"])
def test_messages_and_statuses_come_to_one_address(fake: FakeWavix, early: bool) -> None:
    fake.fates = [("sent", None), ("undelivered", "Gateway rejected"), ("delivered", None)]
    fake.early = early
    with webhook(fake) as (provider, received):
        assert fake.receive("hello", sender="13035550177", to="12025550143") == 200
        sent = provider.send(TEXT)
        for _ in range(500):
            if len(received) == 4:
                break
            time.sleep(0.01)

        [first, *told] = received
        assert isinstance(first, Message)
        assert (first.number, first.peer, first.text) == (OURS, PEER, "hello")
        assert [
            (item.status, item.message_id, item.provider_id, item.peer, item.code)
            for item in told
            if isinstance(item, DeliveryStatus)
        ] == [
            (Status.SENT, TEXT.id, sent, PEER, None),
            (Status.FAILED, TEXT.id, sent, PEER, "24"),
            (Status.DELIVERED, TEXT.id, sent, PEER, None),
        ]
        fake.webhook = fake.webhook.replace("a-webhook-token", "another-token")
        assert fake.receive("hello", sender="13035550177", to="12025550143") == 401


# Looking up


def test_a_message_is_found_among_many_with_its_status(fake: FakeWavix) -> None:
    fake.per_page = 2
    provider = carrier(fake)
    others = [replace(TEXT, id=f"{FILE_ID[:-1]}{digit}") for digit in range(5)]
    for message in (*others, TEXT):
        provider.send(message)
    fake.accepted[-1].update(status="undelivered", error_message="Unsupported carrier")

    found = provider.find_sent(TEXT)

    assert found is not None
    assert (found.status, found.code, found.message_id) == (Status.FAILED, "45", TEXT.id)
    assert found.provider_id == fake.accepted[-1]["message_id"]


def test_another_message_is_never_taken_for_ours_even_if_the_filter_does_nothing(
    fake: FakeWavix,
) -> None:
    provider = carrier(fake)
    provider.send(replace(TEXT, id=FILE_ID))
    fake.next(Answer(200, {"items": fake.accepted, "pagination": {"total_pages": 1}}))

    assert provider.find_sent(TEXT) is None


def test_a_status_that_is_not_known_still_proves_that_wavix_has_it(fake: FakeWavix) -> None:
    provider = carrier(fake)
    provider.send(TEXT)
    fake.accepted[0]["status"] = "parked"

    found = provider.find_sent(TEXT)
    assert found is not None
    assert (found.status, found.event) == (Status.SENT, "parked")


LOOKUPS: dict[str, Callable[[Wavix], Any]] = {
    "find_sent": lambda provider: provider.find_sent(TEXT),
    "missed": lambda provider: list(provider.missed(time.time())),
    "check": lambda provider: list(provider.check([OURS])),
}
NOT_NOW = [
    (Trouble.DROP, Kind.RETRY),
    (Answer(500), Kind.RETRY),
    (Answer(200, b"<html>"), Kind.RETRY),
    (Answer(200, {"items": None}), Kind.RETRY),
    (Answer(302, headers={"Location": "https://example.com/"}), Kind.CONFIG),
]


@pytest.mark.parametrize(("trouble", "kind"), NOT_NOW)
@pytest.mark.parametrize("ask", LOOKUPS.values(), ids=LOOKUPS)
def test_a_list_that_cannot_be_read_is_no_empty_list(
    fake: FakeWavix, ask: Callable[[Wavix], Any], trouble: Any, kind: Kind
) -> None:
    fake.next(trouble)

    with pytest.raises(SendError) as caught:
        ask(carrier(fake))
    assert caught.value.kind is kind


def test_what_was_missed_is_the_same_as_by_webhook(fake: FakeWavix) -> None:
    fake.per_page = 2
    provider = carrier(fake)
    now = time.time()
    fake.arrive("long ago", sender="13035550177", to="12025550143", at=now - 5 * DAY)
    fake.arrive("a little before", sender="13035550177", to="12025550143", at=now - 7200)
    file = fake.offer("roof.jpg", b"x")
    events = [
        fake.arrive(text, sender="13035550177", to="12025550143", media=media, at=now - 60 + place)
        for place, (text, media) in enumerate([("one", []), ("two", []), (None, [file]), ("4", [])])
    ]
    fake.inbound.append(fake.inbound[-1] | {"from": None})

    *received, broken = provider.missed(now - 3600)

    by_webhook = [wavix_event(event, b"", now) for event in events]
    assert [_essence(item) for item in received] == [_essence(item) for item in by_webhook]
    assert "“from” is missing" in broken.reason  # type: ignore[union-attr]
    replayed = list(provider.parse(WebhookCall("POST", {}, "", broken.body)))  # type: ignore[union-attr]
    assert replayed == [broken]


def _essence(item: Any) -> tuple[Any, ...]:
    assert isinstance(item, Message)
    links = [file.source_url for file in item.media]
    return item.provider_id, item.number, item.peer, item.text, links, item.carrier_time


# Files


@pytest.mark.parametrize("guarded", [0, 401, 403])
def test_a_file_is_asked_for_with_the_key_only_where_it_is_refused_without(
    fake: FakeWavix, tmp_path: Path, guarded: int
) -> None:
    url, provider = fake.offer("roof.gif", b"GIF89a and more"), carrier(fake)
    store = MediaStore(Folder(tmp_path), Links(b"a key", "https://x.example"))
    fake.guarded = guarded

    def fetch(renew: bool) -> bytes:
        headers = provider.media_headers(url, renew=renew)
        kept = store.fetch(
            provider.http, url, headers, file_id=FILE_ID, name="roof.gif", max_bytes=10_000
        )
        return kept.path.read_bytes()

    if guarded:
        with pytest.raises(MediaError) as caught:
            fetch(renew=False)
        assert caught.value.code == str(guarded)
    assert fetch(renew=bool(guarded)) == b"GIF89a and more"


def test_the_key_is_shown_to_the_apis_own_host_alone(fake: FakeWavix) -> None:
    provider = carrier(fake, WAVIX_BASE_URL="https://api.wavix.com")
    shown = {"Authorization": f"Bearer {fake.api_key}"}

    assert provider.media_headers("https://api.wavix.com/v3/a.jpg", renew=True) == shown
    assert provider.media_headers("https://media.wavix.com/v3/a.jpg", renew=True) == {}
    for foreign in ("https://example.com/a.jpg", "http://api.wavix.com/a.jpg"):
        with pytest.raises(MediaError):
            provider.media_headers(foreign, renew=True)


# The check


def ready(fake: FakeWavix) -> None:
    fake.own("12025550143")
    fake.default_destination = URL


def test_an_account_in_order_has_no_complaint(fake: FakeWavix) -> None:
    ready(fake)
    fake.per_page = 1
    fake.own("12025550100", sms_relay_url=URL)

    found = list(carrier(fake, WAVIX_SENDER_ID="Fern Dental").check([OURS, "+12025550100"]))

    assert [finding.text for finding in found if not finding.ok] == []
    assert len(found) == 5


def numbers(**about: Any) -> Callable[[FakeWavix], None]:
    return lambda fake: fake.numbers[0].update(about)


COMPLAINTS: list[tuple[str, Callable[[FakeWavix], None], dict[str, str], str]] = [
    ("a wrong key", lambda fake: None, {"WAVIX_API_KEY": "x"}, "Check WAVIX_API_KEY"),
    ("a key that may nothing", lambda fake: fake.may.clear(), {}, "messages:read"),
    ("no scope for numbers", lambda fake: fake.may.remove("numbers:read"), {}, "numbers:read"),
    ("no scope for the profile", lambda fake: fake.may.remove("account:read"), {}, "account:read"),
    ("another's number", lambda fake: fake.numbers.clear(), {}, "does not belong"),
    ("not active", numbers(status="inactive"), {}, "is not active"),
    ("no texts", numbers(sms_enabled=False), {}, "Activate next to Inbound SMS"),
    ("no Sender ID", lambda fake: fake.sender_ids.remove("12025550143"), {}, "Add New Sender ID"),
    ("no such name", lambda fake: None, {"WAVIX_SENDER_ID": "Nobody"}, "WAVIX_SENDER_ID"),
    ("no webhook", lambda fake: setattr(fake, "default_destination", None), {}, "My Account"),
    ("another webhook", numbers(sms_relay_url="https://x.example/"), {}, "Inbound SMS Endpoint"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "env", "words"),
    [case[1:] for case in COMPLAINTS],
    ids=[case[0] for case in COMPLAINTS],
)
def test_what_is_wrong_with_the_account_is_said_with_what_to_click(
    fake: FakeWavix, spoil: Callable[[FakeWavix], None], env: dict[str, str], words: str
) -> None:
    ready(fake)
    spoil(fake)

    complaints = [f.text for f in carrier(fake, **env).check([OURS]) if not f.ok]

    assert complaints
    assert words in complaints[0]
    assert not [text for text in complaints if "a-webhook-token" in text]


def test_a_foreign_number_is_reported_as_receiving_nothing(fake: FakeWavix) -> None:
    ready(fake)
    fake.own("4917612345678", sms_enabled=False)
    fake.sender_ids.append("4917612345678")

    [complaint] = [f.text for f in carrier(fake).check(["+4917612345678"]) if not f.ok]
    assert "US and Canadian numbers only" in complaint


# The fake


GOOD = {"from": "12025550143", "to": PEER, "message_body": {"text": "x", "media": None}}
ILL_FORMED = {
    "no sender": {"from": None},
    "a name to the USA": {"from": "Fern Dental"},
    "a sender with a plus": {"from": "+12025550143"},
    "nobody": {"to": ""},
    "no text": {"message_body": {"text": None, "media": None}},
    "no media": {"message_body": {"text": "x"}},
    "an empty list of media": {"message_body": {"text": "x", "media": []}},
    "six files": {"message_body": {"text": "x", "media": ["https://x.example/a.jpg"] * 6}},
    "another scheme": {"callback_url": "ftp://x.example"},
    "an unknown key": {"smart_encoding": True},
    "a tag that is none": {"tag": 7},
}


@pytest.mark.parametrize("change", ILL_FORMED.values(), ids=ILL_FORMED)
def test_the_fake_takes_no_message_that_wavix_would_refuse(
    fake: FakeWavix, change: dict[str, Any]
) -> None:
    url, key = f"{fake.base_url}/v3/messages", {"Authorization": f"Bearer {fake.api_key}"}

    with requests.Session() as session:
        assert session.post(url, json={**GOOD, **change}, headers=key).status_code == 400
        assert session.post(url, data=GOOD, headers=key).status_code == 400
        assert session.post(url, json=GOOD).status_code == 401
        assert session.post(f"{url}?appid={fake.api_key}", json=GOOD).status_code == 401
        assert session.post(url, json=GOOD, headers=key).status_code == 201
        assert session.get(url, headers=key).status_code == 400
    assert len(fake.accepted) == 1

"""Signed webhook push to a real receiver; ``standardwebhooks`` verifies the signatures."""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.config import variables
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.client import Http
from services.push.webhook import SignedWebhook, WebhookSettings
from tests.push_files import surroundings

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
DEVICE = Device(id="webhook:201", extension="201", channel="webhook")
NOTICE = Notice(
    id="msg_0190f3a2",
    type="message.received",
    extension="201",
    at=1_780_000_000.25,
    message={"id": "0190f3a2", "from": "+13035550177", "text": "Grüße 😀\u2028\x00 \ud83d."},
    unread=3,
)


@dataclass
class Receiver:
    """What the other side saw, and what it answers."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    hold: Event = field(default_factory=Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    seen = Receiver()
    seen.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.calls.append((self.path, headers, body))
            seen.hold.wait(10)
            self.send_response(seen.status)
            for name, value in seen.headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}"
    yield seen
    seen.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


Open = Callable[[str], SignedWebhook]


@pytest.fixture
def channel() -> Iterator[Open]:
    http = Http()

    def opened(url: str) -> SignedWebhook:
        settings, problems = variables.load(
            WebhookSettings,
            SignedWebhook.prefix,
            {"PUSH_WEBHOOK_URL": url, "PUSH_WEBHOOK_SECRET": SECRET},
        )
        assert settings is not None, problems
        return SignedWebhook(settings, surroundings(http))

    yield opened
    http.close()


def refused(channel: SignedWebhook) -> PushError:
    with pytest.raises(PushError) as caught:
        channel.notify(DEVICE, NOTICE)
    assert "token=hidden" not in caught.value.reason
    return caught.value


def test_a_notice_is_posted_signed_and_whole(receiver: Receiver, channel: Open) -> None:
    channel(receiver.url + "/in/?token=hidden").notify(DEVICE, NOTICE)
    [(path, headers, body)] = receiver.calls
    assert path == "/in/?token=hidden"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == NOTICE.id
    assert Webhook(SECRET).verify(body, headers) == {
        "type": "message.received",
        "timestamp": "2026-05-28T20:26:40.250Z",
        "data": {
            "extension": "201",
            "unread": 3,
            "message": {**NOTICE.message, "text": "Grüße 😀\u2028\x00 ?."},
        },
    }
    assert body == json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("change", [b" ", b"\n", b"x"])
def test_a_tampered_body_fails_verification(
    receiver: Receiver, channel: Open, change: bytes
) -> None:
    channel(receiver.url).notify(DEVICE, NOTICE)
    [(_, headers, body)] = receiver.calls
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + change, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {**headers, "webhook-id": "another"})


def test_a_repeat_has_the_same_id_and_body_and_a_signature_of_its_own_time(
    receiver: Receiver, channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = channel(receiver.url)
    webhook.notify(DEVICE, NOTICE)
    now = int(receiver.calls[0][1]["webhook-timestamp"])
    monkeypatch.setattr("services.push.webhook.time.time", lambda: now + 120.9)
    webhook.notify(DEVICE, NOTICE)
    [(_, first, body), (_, second, repeated)] = receiver.calls
    assert first["webhook-id"] == second["webhook-id"]
    assert body == repeated
    assert int(second["webhook-timestamp"]) == now + 120
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_taken(receiver: Receiver, channel: Open, status: int) -> None:
    receiver.status = status
    channel(receiver.url).notify(DEVICE, NOTICE)
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (410, {}, Kind.GONE, None),
        (429, {"Retry-After": "17"}, Kind.RETRY, 17.0),
        (429, {}, Kind.RETRY, 60.0),
        (503, {"Retry-After": "5"}, Kind.RETRY, 5.0),
        (502, {}, Kind.RETRY, None),
        (504, {}, Kind.RETRY, None),
        (500, {"Retry-After": "5"}, Kind.RETRY, None),
        (400, {}, Kind.RETRY, None),
        (401, {}, Kind.RETRY, None),
        (404, {}, Kind.RETRY, None),
        (304, {}, Kind.RETRY, None),
    ],
)
def test_what_follows_from_an_answer(
    receiver: Receiver,
    channel: Open,
    status: int,
    headers: dict[str, str],
    kind: Kind,
    wait: float | None,
) -> None:
    receiver.status, receiver.headers = status, headers
    error = refused(channel(receiver.url + "/?token=hidden"))
    assert (error.kind, error.code, error.retry_after) == (kind, str(status), wait)
    assert str(status) in error.reason


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, channel: Open, status: int) -> None:
    receiver.status = status
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    error = refused(channel(receiver.url + "/?token=hidden"))
    assert (error.kind, error.code) == (Kind.RETRY, str(status))
    assert [path for path, _, _ in receiver.calls] == ["/?token=hidden"]


def test_a_refused_connection_is_tried_again(channel: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refused(channel(f"http://127.0.0.1:{port}/?token=hidden"))
    assert (error.kind, error.code) == (Kind.RETRY, None)
    assert error.reason == (
        "The webhook's receiver at 127.0.0.1 did not take the message. "
        "It did not take the connection."
    )


def test_a_receiver_that_never_answers_is_tried_again(
    receiver: Receiver, channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SignedWebhook, "seconds", 0.2)
    receiver.hold.clear()
    error = refused(channel(receiver.url + "/?token=hidden"))
    assert error.kind is Kind.RETRY
    assert len(receiver.calls) == 1


@pytest.mark.parametrize("written", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_secret_may_be_written_with_or_without_its_prefix(written: str) -> None:
    settings, problems = variables.load(
        WebhookSettings,
        "PUSH_WEBHOOK_",
        {"PUSH_WEBHOOK_URL": "https://app.example.com/x/", "PUSH_WEBHOOK_SECRET": written},
    )
    assert problems == []
    assert settings is not None
    assert (settings.url, settings.secret) == ("https://app.example.com/x/", KEY)
    assert repr(settings) == "WebhookSettings()"


@pytest.mark.parametrize(
    ("variable", "written", "said"),
    [
        ("SECRET", "", "is missing"),
        ("SECRET", "whsec_not base64", "is not base64"),
        ("SECRET", "whsec_gebührenfrei", "is not base64"),
        ("SECRET", "whsec_" + base64.b64encode(bytes(23)).decode(), "holds 23 bytes"),
        ("SECRET", "whsec_" + base64.b64encode(bytes(65)).decode(), "holds 65 bytes"),
        ("URL", "", "is missing"),
        ("URL", "ftp://app.example.com", "begins with https://"),
        ("URL", "https://user:hidden@app.example.com", "user name or a password"),
        ("URL", "https://app.example.com/a b", "spaces"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy_and_not_shown(
    variable: str, written: str, said: str
) -> None:
    env: dict[str, Any] = {
        "PUSH_WEBHOOK_URL": "https://app.example.com",
        "PUSH_WEBHOOK_SECRET": SECRET,
    }
    env[f"PUSH_WEBHOOK_{variable}"] = written
    settings, [problem] = variables.load(WebhookSettings, "PUSH_WEBHOOK_", env)
    assert settings is None
    assert problem.variable == f"PUSH_WEBHOOK_{variable}"
    assert said in problem.reason
    assert not written or written not in str(problem)
    assert {"URL": "https://app.example.com/textbridge", "SECRET": "python3 -c"}[
        variable
    ] in problem.remedy


def test_the_remedy_makes_a_secret_that_is_accepted() -> None:
    _, problems = variables.load(
        WebhookSettings, "PUSH_WEBHOOK_", {"PUSH_WEBHOOK_URL": "http://a.b"}
    )
    [problem] = problems
    script = problem.remedy.partition('python3 -c "')[2].rstrip('"')
    printed: list[str] = []
    exec(script, {"print": printed.append})
    _, problems = variables.load(
        WebhookSettings,
        "PUSH_WEBHOOK_",
        {"PUSH_WEBHOOK_URL": "http://a.b", "PUSH_WEBHOOK_SECRET": printed[0]},
    )
    assert problems == []

"""A Wavix that really checks: the key, the shape of messages, Sender IDs, the filters of its lists.

In a test::

    with FakeWavix() as wavix:
        env = wavix.env
        wavix.webhook = "http://127.0.0.1:8000/webhook/wavix/sms?token=…"
        wavix.next(Trouble.CUT, Answer(429, {"success": False, "message": "…"}))
        wavix.receive("Are you open today?", sender="13035550177", to="12025550143")
        assert wavix.accepted == […]

By hand: ``python -m tests.fakes.wavix 4020 [WEBHOOK_URL]``.
"""

import hmac
import json
import re
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import requests

from services.core.segments import count
from tests.fakes.bandwidth import Answer, Odd, Trouble
from tests.fakes.serving import QuietServer, Serving

PHONE = re.compile(r"\+?[1-9][0-9]{7,14}|[0-9]{3,8}", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
EXTENSIONS = (
    *("jpg", "jpeg", "png", "bmp", "gif", "wav", "mp3", "amr", "aac", "midi", "mid"),
    *("3gpp", "3gp", "vcf"),
)
KEYS = {"from", "to", "message_body", "callback_url", "validity", "tag"}
FILTERS = {
    *("type", "sent_after", "sent_before", "from", "to", "status", "tag", "message_type"),
    *("page", "per_page"),
}


class FakeWavix(Serving):
    """The server. Everything it has seen may be read at any time; lists only grow.

    ``accepted`` has every message that was accepted, as listed. ``fates`` are the statuses
    told of it, each with its error; with ``early`` they are told before the request is answered.
    ``may`` are the scopes of the key. ``guarded`` says with what a file is refused to strangers.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        webhook: str = "",
        fates: Sequence[tuple[str, str | None]] = (),
        early: bool = False,
        per_page: int = 100,
    ) -> None:
        self.api_key = "fake-key-" + secrets.token_hex(8)
        self.webhook = webhook
        self.fates = fates
        self.early = early
        self.per_page = per_page  # the most that a page holds
        self.guarded = 0
        self.may = {"messages:read", "messages:write", "numbers:read", "account:read"}
        self.sender_ids = ["12025550143", "12025550100", "Fern Dental"]
        self.numbers: list[dict[str, Any]] = []
        self.default_destination: str | None = None
        self.accepted: list[dict[str, Any]] = []
        self.inbound: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, int]] = []
        self.files: dict[str, bytes] = {}
        self.told: list[int] = []
        self._odd: deque[Odd] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = QuietServer(("127.0.0.1", port), _Handler)
        self._server.fake = self  # type: ignore[attr-defined]

    # For tests

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        super().__exit__()

    @property
    def base_url(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        return {"WAVIX_API_KEY": self.api_key, "WAVIX_BASE_URL": self.base_url}

    def next(self, *odd: Odd) -> None:
        """Misbehave at the next requests, one after the other."""
        with self._lock:
            self._odd += odd

    def own(self, number: str, **about: Any) -> None:
        """A number of the account, in order unless something else is said."""
        self.numbers.append(
            {"number": number, "status": "active", "sms_enabled": True, "sms_relay_url": None}
            | about
        )

    def offer(self, name: str, body: bytes) -> str:
        """A file of an inbound MMS; returns its address."""
        self.files[f"/v3/messages/attachments/abc123/{name}"] = body
        return f"{self.base_url}/v3/messages/attachments/abc123/{name}"

    def arrive(
        self, text: str | None, *, sender: str, to: str, media: Sequence[str] = (), at: float = 0.0
    ) -> dict[str, Any]:
        """An inbound message that is listed and not told; returned as the webhook has it."""
        moment = _iso(at or time.time())
        body = {"text": text, "media": list(media) or None}
        told = {"message_id": str(uuid4()), "from": sender, "to": to, "message_body": body}
        with self._lock:
            self.inbound.append(
                told
                | {"direction": "inbound", "tag": None, "status": "delivered"}
                | {"submitted_at": moment, "sent_at": None, "delivered_at": None}
            )
        return told | {"received_at": moment}

    def receive(self, text: str | None, **about: Any) -> int:
        """Post an inbound message to the webhook; returns the answer's status."""
        return self.post(self.webhook, self.arrive(text, **about))

    def post(self, url: str, event: dict[str, Any]) -> int:
        """Post an event, once: nothing is known of repeats."""
        status = requests.post(url, json=event, timeout=10).status_code
        self.told.append(status)
        return status

    def tell(self, message: dict[str, Any], url: str) -> None:
        """Tell what becomes of a message, as ``fates`` say."""
        for status, error in self.fates:
            message.update(status=status, error_message=error, sent_at=_iso(time.time()))
            self.post(
                url,
                {
                    **{name: message[name] for name in ("message_id", "from", "to", "tag")},
                    "message_type": message["message_type"],
                    "status": status,
                    "segments_count": 1,
                    "sent": message["sent_at"].removesuffix("Z"),
                    "delivered": None,
                    "error": error,
                    "charge": "0.01",
                    "carrier_fees": "0.0",
                },
            )

    # What the handler asks

    def odd(self, method: str) -> Odd | None:
        """How to misbehave at this request, if at all."""
        with self._lock:
            return self._odd.popleft() if self._odd else None

    def is_allowed(self, authorization: str) -> bool:
        """Whether a request shows the key."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self.api_key}".encode())

    def answer(self, method: str, target: str, kind: str, body: bytes) -> Answer:
        """The right answer to a request with the key."""
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        scopes: dict[tuple[str, str], tuple[str, Callable[[], Answer]]] = {
            ("POST", "/v3/messages"): ("messages:write", lambda: self._take(kind, body)),
            ("GET", "/v3/messages"): ("messages:read", lambda: self._listed(query)),
            ("GET", "/v3/messages/sender-ids"): ("messages:read", self._senders),
            ("GET", "/v1/numbers"): ("numbers:read", lambda: self._page(self.numbers, query)),
            ("GET", "/v1/profile"): ("account:read", self._profile),
        }
        if (method, path) not in scopes:
            return _no(404, "Not found")
        scope, handle = scopes[method, path]
        return handle() if scope in self.may else _no(403, "Forbidden")

    def _take(self, kind: str, body: bytes) -> Answer:
        if not kind.startswith("application/json"):
            return _no(400, "Missing or invalid parameter from")
        asked = json.loads(body)
        fault = self._fault(asked)
        if fault:
            return _no(400, fault)
        message = {
            "message_id": str(uuid4()),
            "message_type": "mms" if asked["message_body"]["media"] else "sms",
            "direction": "outbound",
            "status": "accepted",
            "segments": 1,
            "tag": None,
            "submitted_at": _iso(time.time()),
            "sent_at": None,
            "delivered_at": None,
            "error_message": None,
            **{name: value for name, value in asked.items() if name != "callback_url"},
            "to": asked["to"].removeprefix("+"),
        }
        with self._lock:
            self.accepted.append(message)
        return Answer(201, message, {"X-Callback": asked.get("callback_url", "")})

    def _fault(self, asked: Any) -> str:
        if not isinstance(asked, dict) or not set(asked) <= KEYS:
            return "Missing or invalid parameter"
        sender, to, content = asked.get("from"), asked.get("to"), asked.get("message_body")
        if not isinstance(content, dict) or set(content) != {"text", "media"}:
            return "Missing or invalid parameter message_body"
        text, media = content["text"], content["media"]
        checks = [
            ("Missing or invalid parameter to", isinstance(to, str) and PHONE.fullmatch(to)),
            ("Missing or invalid parameter text", isinstance(text, str) and (text or media)),
            ("Missing or invalid parameter tag", isinstance(asked.get("tag", ""), str)),
            ("Sender ID not found", sender in self.sender_ids),
            (
                "The Sender ID is not provisioned for the country",
                str(sender).isdigit() or not str(to).lstrip("+").startswith("1"),
            ),
            ("Message too long", isinstance(text, str) and _fits(text)),
            (
                "You can only have up to 5 attachments per MMS message",
                media is None or 0 < len(media) <= 5,
            ),
            ("Unsupported media format", all(_is_known(link) for link in media or ())),
            (
                "Callback URL is invalid",
                str(asked.get("callback_url", "http://")).startswith(("http://", "https://")),
            ),
        ]
        return next((words for words, passed in checks if not passed), "")

    def _listed(self, query: dict[str, str]) -> Answer:
        days = [query.get("sent_after", "2000-01-01"), query.get("sent_before", "2999-01-01")]
        kind = query.get("type")
        if kind not in ("inbound", "outbound") or not set(query) <= FILTERS:
            return _no(400, "Missing or invalid parameter type")
        if not all(DAY.fullmatch(day) for day in days):
            return _no(400, "Missing or invalid parameter sent_after")
        found = [
            message
            for message in (self.accepted if kind == "outbound" else self.inbound)
            if days[0] <= str(message["submitted_at"])[:10] <= days[1]
            and all(message[name] == query[name] for name in ("from", "to", "tag") if name in query)
        ]
        return self._page(found, query)

    def _page(self, found: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        page, size = int(query.get("page", 1)), min(int(query.get("per_page", 25)), self.per_page)
        paging = {
            "current_page": page,
            "per_page": size,
            "total": len(found),
            "total_pages": -(-len(found) // size),
        }
        return Answer(200, {"items": found[(page - 1) * size : page * size], "pagination": paging})

    def _senders(self) -> Answer:
        items = [
            {"id": str(uuid4()), "sender_id": sender, "allowlisted_in": ["US"]}
            | {"type": "numeric" if sender.isdigit() else "alphanumeric"}
            for sender in self.sender_ids
        ]
        return Answer(200, {"items": items})

    def _profile(self) -> Answer:
        target = {"transport": "sms", "value": self.default_destination}
        return Answer(200, {"id": 1, "default_destinations": [target], "timezone": "UTC"})

    def wait(self, seconds: float) -> bool:
        """Wait; true when the server is being closed."""
        return self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        fake: FakeWavix = self.server.fake  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        odd = fake.odd(self.command)
        if odd is Trouble.DROP:
            self.close_connection = True
            return
        answer = odd if isinstance(odd, Answer) else self._right(fake, body)
        callback = answer.headers.get("X-Callback", "")
        message = answer.body
        if callback and fake.early and isinstance(message, dict):
            fake.tell(message, callback)
        fake.requests.append((self.command, self.path, answer.status))
        if odd in (Trouble.HANG, Trouble.CUT):
            if odd is Trouble.HANG:
                fake.wait(120)
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.raw)))
        self.end_headers()
        self.wfile.write(answer.raw)
        if callback and not fake.early and isinstance(message, dict):
            fake.tell(message, callback)

    def _right(self, fake: FakeWavix, body: bytes) -> Answer:
        allowed = fake.is_allowed(self.headers.get("Authorization", ""))
        if self.path in fake.files:
            return (
                Answer(200, fake.files[self.path])
                if allowed or not fake.guarded
                else _no(fake.guarded, "Unauthorized")
            )
        if not allowed:
            return Answer(401, {"error": True, "success": False, "message": "Unauthorized"})
        return fake.answer(self.command, self.path, self.headers.get("Content-Type", ""), body)


def _no(status: int, message: str) -> Answer:
    return Answer(status, {"success": False, "message": message})


def _fits(text: str) -> bool:
    size = count(text)
    return size.units <= (1630 if size.encoding == "GSM-7" else 670)


def _is_known(link: Any) -> bool:
    return isinstance(link, str) and urlsplit(link).path.rpartition(".")[2] in EXTENSIONS


def _iso(at: float) -> str:
    written = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def main(arguments: list[str]) -> None:
    """Serve until interrupted, and print the variables to use it with."""
    fates = [("sent", None), ("delivered", None)]
    webhook = arguments[1] if len(arguments) > 1 else ""
    with FakeWavix(int(arguments[0]) if arguments else 0, webhook=webhook, fates=fates) as fake:
        for name, value in fake.env.items():
            print(f"{name}={value}", flush=True)
        try:
            while not fake.wait(3600):
                pass
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main(sys.argv[1:])

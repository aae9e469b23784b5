"""A Bandwidth that really checks: sign-in, credentials, the shape of messages, the media store.

In a test::

    with FakeBandwidth() as bandwidth:
        env = bandwidth.env
        bandwidth.webhook = "http://127.0.0.1:8000/webhook/bandwidth/sms?token=…"
        bandwidth.next("messages", Trouble.CUT, Answer(429, {"type": "…", "description": "…"}))
        bandwidth.receive("Are you open today?", sender="+13035550177", to="+12025550143")
        assert bandwidth.accepted == […]

By hand: ``python -m tests.fakes.bandwidth 4010 [WEBHOOK_URL]``.
"""

import base64
import hmac
import http.client
import json
import re
import secrets
import socket
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.fakes.serving import Serving

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
SENDER = re.compile(r"\+[1-9][0-9]{6,14}|(?=.*[A-Za-z])[A-Za-z0-9 _&+-]{1,11}", re.ASCII)
KEYS = {"applicationId", "from", "to", "text", "media", "tag", "priority", "expiration"}
FILE_BYTES = 3_750_000
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
LISTED = {
    "message-sending": "SENDING",
    "message-sent": "SENT",
    "message-delivered": "DELIVERED",
    "message-failed": "FAILED",
}

Place = Literal["token", "messages", "media"]


class Trouble(Enum):
    """Ways to misbehave at a request. A message is taken with all of them but ``DROP``."""

    DROP = "cut the connection before anything is looked at"
    CUT = "take the message and cut the connection"
    HANG = "take the message and never answer"
    DRIP = "take the message and answer a byte every now and then"


@dataclass(frozen=True)
class Answer:
    """An answer given instead of the right one; nothing is taken."""

    status: int
    body: bytes | dict[str, Any] = b""
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def raw(self) -> bytes:
        """The body in bytes, encoded once: a message's status may change meanwhile."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


TOO_MANY = Answer(
    429,
    {
        "type": "max-message-queue-size-exceeded",
        "description": "Your allowed rate is 60 messages per minute.",
    },
)

Odd = Trouble | Answer


@dataclass
class Post:
    """One webhook: its events and the status of every attempt at it."""

    events: list[dict[str, Any]]
    statuses: list[int] = field(default_factory=list)

    @property
    def taken(self) -> bool:
        """Whether the last attempt was answered with 2xx."""
        return bool(self.statuses) and 200 <= self.statuses[-1] < 300


class FakeBandwidth(Serving):
    """The server. Everything it has seen may be read at any time; lists only grow.

    ``accepted`` has every message that was accepted, as answered. ``fates`` are the
    statuses told of a message, in order: a type, or a type with its error code. With ``early`` they
    are told before the request is answered.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        webhook: str = "",
        webhook_user: tuple[str, str] | None = None,
        fates: Sequence[str | tuple[str, int]] = ("message-sending", "message-delivered"),
        early: bool = False,
        expires_in: int = 3600,
        pause: float = 0.2,
    ) -> None:
        self.account_id = "9900001"
        self.application_id = "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"
        self.api_token = "fake-client-" + secrets.token_hex(4)
        self.api_secret = secrets.token_hex(16)
        self.webhook = webhook
        self.webhook_user = webhook_user
        self.fates = fates
        self.early = early
        self.expires_in = expires_in
        self.pause = pause  # seconds between the attempts of a webhook, and between drops
        self.accepted: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, int]] = []
        self.posts: list[Post] = []
        self.media: dict[str, tuple[str, bytes]] = {}
        self.errors: list[str] = []
        self._odd: defaultdict[Place, deque[Odd]] = defaultdict(deque)
        self._tokens: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._posting: list[threading.Thread] = []
        self._server: _Server = _Server(self, port)

    # For tests

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        for thread in self._posting:
            thread.join(10)
        assert not self.errors, self.errors

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        """The address of its Messaging API."""
        return f"{self.origin}/api/v2"

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        values = {
            "BANDWIDTH_ACCOUNT_ID": self.account_id,
            "BANDWIDTH_API_TOKEN": self.api_token,
            "BANDWIDTH_API_SECRET": self.api_secret,
            "BANDWIDTH_MESSAGE_BASE_URL": self.base_url,
            "BANDWIDTH_APPLICATION_ID": self.application_id,
            "BANDWIDTH_TOKEN_URL": f"{self.origin}/api/v1/oauth2/token",
        }
        if self.webhook_user is not None:
            values["BANDWIDTH_WEBHOOK_USERNAME"] = self.webhook_user[0]
            values["BANDWIDTH_WEBHOOK_PASSWORD"] = self.webhook_user[1]
        return values

    def next(self, place: Place, *odd: Odd) -> None:
        """Misbehave at the next requests to a place, one after the other."""
        with self._lock:
            self._odd[place] += odd

    def revoke_tokens(self) -> None:
        """End every token that was given out."""
        with self._lock:
            self._tokens.clear()

    def offer(self, path: str, content_type: str, body: bytes) -> str:
        """Lay a file into the media store, as for an inbound MMS; returns its address."""
        with self._lock:
            self.media[path] = (content_type, body)
        return f"{self.base_url}/users/{self.account_id}/media/{path}"

    def event(
        self,
        text: str | None,
        *,
        sender: str,
        to: str,
        group: Sequence[str] = (),
        media: Sequence[str] = (),
        message_id: str = "",
    ) -> dict[str, Any]:
        """An inbound message as an event; ``group`` are the other recipients."""
        message = {
            "id": message_id or _id(),
            "owner": to,
            "applicationId": self.application_id,
            "time": _now(),
            "segmentCount": 1,
            "direction": "in",
            "to": [to, *group],
            "from": sender,
            "text": text,
            **({"media": list(media)} if media else {}),
        }
        return _event("message-received", "Incoming message received", to, message)

    def receive(self, text: str | None, **about: Any) -> Post:
        """Post an inbound message to the webhook and wait until it is taken; see ``event``."""
        return self.post([self.event(text, **about)])

    def post(self, events: list[dict[str, Any]], attempts: int = 50) -> Post:
        """Post events to the webhook, again and again until they are taken."""
        post = Post(events)
        with self._lock:
            self.posts.append(post)
        for attempt in range(attempts):
            if attempt and self._closing.wait(self.pause):
                break
            post.statuses.append(self._post_once(json.dumps(events).encode()))
            if post.taken:
                break
        return post

    # Webhooks

    def _post_once(self, body: bytes) -> int:
        """One attempt: first without credentials, and with them where a 401 asks for them."""
        status, challenge = self._exchange(body, {})
        if status == 401 and self.webhook_user and challenge.lower().startswith("basic"):
            credentials = base64.b64encode(":".join(self.webhook_user).encode()).decode()
            status, _ = self._exchange(body, {"Authorization": f"Basic {credentials}"})
        return status

    def _exchange(self, body: bytes, more: dict[str, str]) -> tuple[int, str]:
        where = urlsplit(self.webhook)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "BandwidthAPI/v2",
        }
        try:
            target = f"{where.path}?{where.query}" if where.query else where.path
            connection.request("POST", target, body, {**headers, **more})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers.get("WWW-Authenticate", "")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def listed(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message as the list of messages shows it: without its text and its tag."""
        fate = self.fates[-1] if self.fates else "message-sending"
        kind, code = fate if isinstance(fate, tuple) else (fate, None)
        return {
            "messageId": message["id"],
            "accountId": self.account_id,
            "sourceTn": message["from"],
            "destinationTn": message["to"][0],
            "messageStatus": LISTED[kind],
            "messageDirection": "OUTBOUND",
            "messageType": "mms" if message.get("media") else "sms",
            "segmentCount": 1,
            "errorCode": code or 0,
            "receiveTime": message["time"],
        }

    def tell(self, message: dict[str, Any]) -> None:
        """Tell the webhook what becomes of an accepted message, for each recipient."""
        told = {**message, "text": ""}
        for fate in self.fates if self.webhook else ():
            kind, code = fate if isinstance(fate, tuple) else (fate, None)
            for recipient in message["to"]:
                event = _event(kind, kind.replace("-", " "), recipient, told)
                self.post([event if code is None else {**event, "errorCode": code}])

    def tell_later(self, message: dict[str, Any]) -> None:
        """As ``tell``, while the request is answered."""
        thread = threading.Thread(target=self.tell, args=(message,), daemon=True)
        thread.start()
        with self._lock:
            self._posting.append(thread)

    # What the handler asks

    def odd_for(self, place: Place) -> Odd | None:
        """How to misbehave at this request, if at all."""
        with self._lock:
            return self._odd[place].popleft() if self._odd[place] else None

    def sign_in(self, authorization: str, content_type: str, body: bytes) -> Answer:
        """OAuth2 client credentials."""
        if not self._is_basic(authorization):
            return Answer(401, {"error": "invalid_client"})
        if not content_type.startswith("application/x-www-form-urlencoded"):
            return Answer(415, {"error": "invalid_request"})
        if parse_qs(body.decode("ascii", "replace")) != {"grant_type": ["client_credentials"]}:
            return Answer(400, {"error": "unsupported_grant_type"})
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens.add(token)
        told = {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}
        return Answer(200, told)

    def is_allowed(self, authorization: str) -> bool:
        """Whether a request shows a token that holds, or the account's own credentials."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            held = scheme == "Bearer" and token in self._tokens
        return held or self._is_basic(authorization)

    def _is_basic(self, authorization: str) -> bool:
        expected = base64.b64encode(f"{self.api_token}:{self.api_secret}".encode()).decode()
        return hmac.compare_digest(authorization.encode(), f"Basic {expected}".encode())

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        """Check a message; an accepted one is in ``accepted``."""
        if not content_type.startswith("application/json"):
            described = f"Content type '{content_type}' not supported"
            return Answer(415, _refusal("unsupported-content-type", described)), None
        try:
            asked = json.loads(body)
        except ValueError:
            return Answer(400, _refusal("request-validation", "The body is not JSON")), None
        faults = self._faults(asked) if isinstance(asked, dict) else [("body", "is no object")]
        if faults:
            errors = [{"fieldName": name, "description": words} for name, words in faults]
            refusal = _refusal("request-validation", "Your request could not be accepted")
            return Answer(400, {**refusal, "fieldErrors": errors}), None
        message = {
            "id": _id(),
            "owner": asked["from"],
            "time": _now(),
            "segmentCount": 1,
            "direction": "out",
            **asked,
        }
        with self._lock:
            self.accepted.append(message)
        return Answer(202, message), message

    def _faults(self, asked: dict[str, Any]) -> list[tuple[str, str]]:
        to, text, media = asked.get("to"), asked.get("text"), asked.get("media")
        listed = to if isinstance(to, list) and all(isinstance(n, str) for n in to) else []
        checks = [
            ("applicationId", asked.get("applicationId") == self.application_id, "is not known"),
            ("from", _matches(SENDER, asked.get("from")), "must be E164 or a name"),
            ("to", bool(listed) and all(_matches(E164, n) for n in listed), "must be E164"),
            ("to", len(set(listed)) == len(listed) <= 10, "must be unique and 10 at most"),
            ("text", text is None or (isinstance(text, str) and 0 < len(text) <= 2048), "is odd"),
            ("text", bool(text or media), "or media is needed"),
            ("media", media is None or self._can_fetch(media), "cannot be fetched"),
            ("tag", _matches(re.compile(r".{0,1024}", re.DOTALL), asked.get("tag", "")), "is odd"),
            ("body", set(asked) <= KEYS, "has unknown keys"),
        ]
        return [(name, words) for name, passed, words in checks if not passed]

    def _can_fetch(self, media: Any) -> bool:
        own = f"{self.base_url}/users/{self.account_id}/media/"
        with self._lock:
            stored = {own + name for name in self.media}
        return (
            isinstance(media, list)
            and 0 < len(media) <= 10
            and all(isinstance(u, str) and (u in stored or u.startswith("https://")) for u in media)
        )

    def wait(self, seconds: float) -> bool:
        """Wait; true when the server is being closed."""
        return self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fake: FakeBandwidth, port: int) -> None:
        self.fake = fake
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # callers may hang up at any time
            self.fake.errors.append(repr(error))

    def hang_up(self) -> None:
        """Close the connections that clients keep open."""
        for connection in list(self.open):
            _shut(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self._answer()

    do_PUT = do_GET = do_POST

    def _answer(self) -> None:
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        place, handler = self._place(path)
        odd = fake.odd_for(place) if place else None
        if odd is Trouble.DROP:
            self._cut(0)
            return
        message = None
        if isinstance(odd, Answer):
            answer = odd
        else:
            answer, message = handler(path, body)
        if message is not None and fake.early:
            fake.tell(message)
        self._give(answer, odd)
        if message is not None and not fake.early:
            fake.tell_later(message)

    def _place(self, path: str) -> tuple[Place | None, Any]:
        account = f"/api/v2/users/{self.server.fake.account_id}"
        if self.command == "POST" and path == "/api/v1/oauth2/token":
            return "token", self._token
        if self.command == "POST" and path == f"{account}/messages":
            return "messages", self._message
        if self.command == "GET" and path == f"{account}/messages":
            return None, self._list
        if self.command in ("PUT", "GET") and path.startswith(f"{account}/media/"):
            return "media", self._media
        return None, self._nowhere

    def _token(self, path: str, body: bytes) -> tuple[Answer, None]:
        headers = self.headers
        authorization, kind = headers.get("Authorization", ""), headers.get("Content-Type", "")
        return self.server.fake.sign_in(authorization, kind, body), None

    def _message(self, path: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        fake = self.server.fake
        if not fake.is_allowed(self.headers.get("Authorization", "")):
            return UNAUTHORIZED, None
        return fake.take(self.headers.get("Content-Type", ""), body)

    def _list(self, path: str, body: bytes) -> tuple[Answer, None]:
        fake = self.server.fake
        if not fake.is_allowed(self.headers.get("Authorization", "")):
            return UNAUTHORIZED, None
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if not query or any(not TIME.fullmatch(query[n]) for n in query if n.endswith("DateTime")):
            return Answer(400, _refusal("request-validation", "A filter is missing or wrong")), None
        found = [entry for entry in map(fake.listed, list(fake.accepted)) if _fits(entry, query)]
        return Answer(200, {"totalCount": len(found), "pageInfo": {}, "messages": found}), None

    def _media(self, path: str, body: bytes) -> tuple[Answer, None]:
        fake = self.server.fake
        name = path.partition("/media/")[2]
        if not fake.is_allowed(self.headers.get("Authorization", "")):
            return UNAUTHORIZED, None
        if self.command == "PUT":
            content_type = self.headers.get("Content-Type", "")
            if "/" not in content_type or not body or len(body) > FILE_BYTES:
                return Answer(
                    400, _refusal("request-validation", "The file is not acceptable")
                ), None
            fake.offer(name, content_type, body)
            return Answer(204), None
        if name not in fake.media:
            return Answer(404, _refusal("not-found", "There is no such file")), None
        content_type, stored = fake.media[name]
        return Answer(200, stored, {"Content-Type": content_type}), None

    def _nowhere(self, path: str, body: bytes) -> tuple[Answer, None]:
        told = {
            "timestamp": _now(),
            "status": 404,
            "error": "Not Found",
            "message": "",
            "path": path,
        }
        return Answer(404, told), None

    def _give(self, answer: Answer, odd: Odd | None) -> None:
        if odd is Trouble.HANG:
            self.server.fake.wait(120)
        if odd in (Trouble.HANG, Trouble.CUT):
            self._cut(0)
            return
        self._note(answer.status)
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.raw)))
        self.end_headers()
        if odd is Trouble.DRIP:
            self._drip(answer.raw)
        else:
            self.wfile.write(answer.raw)

    def _drip(self, body: bytes) -> None:
        for byte in body:
            if self.server.fake.wait(self.server.fake.pause):
                self.close_connection = True
                return
            self.wfile.write(bytes([byte]))

    def _cut(self, status: int) -> None:
        self._note(status)
        self.close_connection = True
        _shut(self.connection)

    def _note(self, status: int) -> None:
        self.server.fake.requests.append((self.command, self.path, status))


UNAUTHORIZED = Answer(401, {"type": "unauthorized", "description": "Authentication Failed"})


def _refusal(kind: str, description: str) -> dict[str, Any]:
    return {"type": kind, "description": description}


def _event(kind: str, description: str, to: str, message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "time": _now(),
        "description": description,
        "to": to,
        "message": message,
    }


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _fits(entry: dict[str, Any], query: dict[str, str]) -> bool:
    """Whether the list shows a message for a query."""
    named = ("messageId", "sourceTn", "destinationTn", "messageDirection")
    at = entry["receiveTime"][:19]
    return (
        all(entry[name] == query.get(name, entry[name]) for name in named)
        and query.get("fromDateTime", at)[:19] <= at <= query.get("toDateTime", at)[:19]
    )


def _id() -> str:
    return f"{time.time_ns() // 1_000_000}{secrets.token_hex(8)}"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already


def main(arguments: list[str]) -> None:
    """Serve until interrupted, and print the variables to use it with."""
    webhook = arguments[1] if len(arguments) > 1 else ""
    with FakeBandwidth(int(arguments[0]) if arguments else 0, webhook=webhook) as fake:
        for name, value in fake.env.items():
            print(f"{name}={value}", flush=True)
        try:
            while not fake.wait(3600):
                pass
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main(sys.argv[1:])

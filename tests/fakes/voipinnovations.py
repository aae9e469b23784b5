"""A VoIP Innovations (APIdaze REST) that checks what it is asked, and writes down what it took.

In a test::

    with FakeVoipInnovations() as carrier:
        env = carrier.env
        carrier.next(Trouble.CUT, Answer(400, {"error": "…"}))
        assert carrier.accepted == […]
"""

import hmac
import re
import secrets
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from tests.fakes.bandwidth import Answer, Odd, Trouble
from tests.fakes.serving import QuietServer, Serving

NUMBER = re.compile(r"[1-9][0-9]{10,14}|[0-9]{5,6}", re.ASCII)
FILE = re.compile(r"file_urls\[([0-9])\]", re.ASCII)
KEYS = {
    "from", "to", "body", "message_type", "num_retries", "skip_defer", "skip_file_error",
}  # fmt: skip


class FakeVoipInnovations(Serving):
    """The server. ``accepted`` has what was sent, ``requests`` (method, path, status) of all."""

    def __init__(self) -> None:
        self.api_key = secrets.token_hex(8)
        self.api_secret = secrets.token_urlsafe(16) + "/+&="  # as awkward as it may be
        self.accepted: list[dict[str, str]] = []
        self.requests: list[tuple[str, str, int]] = []
        self._odd: deque[Odd] = deque()
        self._closing = threading.Event()
        self._server = QuietServer(("127.0.0.1", 0), _handler(self))

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        super().__exit__()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        return {
            "APIDAZE_API_KEY": self.api_key,
            "APIDAZE_API_SECRET": self.api_secret,
            "APIDAZE_BASE_URL": self.base_url,
        }

    def next(self, *odd: Odd) -> None:
        """Misbehave at the next requests, one after the other."""
        self._odd.extend(odd)

    # What the handler asks

    def odd(self, method: str) -> Odd | None:
        """How to misbehave at this request, if at all."""
        return self._odd.popleft() if self._odd else None

    def wait(self) -> None:
        """Wait until the server is being closed."""
        self._closing.wait(120)

    def answer(self, method: str, target: str, content_type: str, body: bytes) -> Answer:
        """Do what is asked, if it is asked rightly."""
        path, query = urlsplit(target).path, urlsplit(target).query
        _, key, *rest = path.split("/")
        if not hmac.compare_digest(key.encode(), self.api_key.encode()):
            return Answer(404, {"message": "Not found"})
        if parse_qsl(query) != [("api_secret", self.api_secret)]:
            return Answer(401, {"error": f"Wrong secret in {target}"})
        if (method, rest) == ("GET", ["validates"]):
            return Answer(200, {"global": "Authentication succeeded"})
        if (method, rest) == ("POST", ["sms", "send"]):
            return self._take(content_type, body)
        return Answer(404, {"message": "Not found"})

    def _take(self, content_type: str, body: bytes) -> Answer:
        if not content_type.startswith("application/x-www-form-urlencoded"):
            return Answer(415, {"error": "Unsupported content type"})
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
        fault = _fault(dict(pairs))
        if fault or len(dict(pairs)) != len(pairs):
            return Answer(400, {"error": fault or "A field is repeated"})
        message = {**dict(pairs), "uuid": str(uuid4())}
        self.accepted.append(message)
        told = {"ok": True, "message": "Message sent", "details": {"uuid": message["uuid"]}}
        return Answer(200, told)


def _fault(form: dict[str, str]) -> str:
    files = [name for name in form if FILE.fullmatch(name)]
    checks = {
        "from must be digits with the country code": NUMBER.fullmatch(form.get("from", "")),
        "to must be digits with the country code": NUMBER.fullmatch(form.get("to", "")),
        "body must not be empty": form.get("body"),
        "message_type is not known": form.get("message_type", "SMS") in ("SMS", "MMS"),
        "an MMS has files, and nothing else": (form.get("message_type") == "MMS") == bool(files),
        "file_urls must be addresses": all(form[f].startswith("http") for f in files),
        "file_urls must be counted": files == [f"file_urls[{n}]" for n, _ in enumerate(files)],
        "num_retries must be a number": form.get("num_retries", "0").isdigit(),
        "there are unknown fields": {*form} - {*files} <= KEYS,
    }
    return next((words for words, passed in checks.items() if not passed), "")


def _handler(fake: FakeVoipInnovations) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            odd = fake.odd(self.command)
            if odd is Trouble.DROP:
                self._cut()
                return
            content_type = self.headers.get("Content-Type", "")
            answer = (
                odd
                if isinstance(odd, Answer)
                else fake.answer(self.command, self.path, content_type, body)
            )
            fake.requests.append((self.command, urlsplit(self.path).path, answer.status))
            if odd is Trouble.HANG:
                fake.wait()
            if odd in (Trouble.HANG, Trouble.CUT):
                self._cut()
                return
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.raw)

        do_GET = do_POST

        def _cut(self) -> None:
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler

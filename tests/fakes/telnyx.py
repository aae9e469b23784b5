"""A Telnyx that checks what it is asked to send, and writes down what it took.

In a test::

    with FakeTelnyx() as telnyx:
        env = telnyx.env
        telnyx.next(Answer(403, {"errors": [{"code": "40300", "title": "…"}]}))
        assert telnyx.accepted == […]

Its webhooks are signed with the made-up key of ``tests/payloads/telnyx``.
"""

import hmac
import json
import re
import secrets
from collections import deque
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.fakes.bandwidth import Answer
from tests.fakes.serving import QuietServer, Serving
from tests.payload_files import settings

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}", re.ASCII)
KEYS = {"from", "to", "text", "media_urls", "messaging_profile_id", "webhook_url"}


class FakeTelnyx(Serving):
    """The server. ``accepted`` has what was sent."""

    def __init__(self) -> None:
        self.api_key = "KEY-" + secrets.token_hex(8)
        self.accepted: list[dict[str, Any]] = []
        self.profile: dict[str, Any] = {"enabled": True, "webhook_api_version": "2"}
        self.numbers = ["+12025550143"]
        self._odd: deque[Answer] = deque()
        self._server = QuietServer(("127.0.0.1", 0), _handler(self))

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        port = self._server.server_address[1]
        own = {"TELNYX_API_KEY": self.api_key, "TELNYX_BASE_URL": f"http://127.0.0.1:{port}/v2"}
        return {**settings("telnyx"), **own}

    def next(self, *odd: Answer) -> None:
        """Give these answers to the next requests, one after the other."""
        self._odd.extend(odd)

    def answer(self, path: str, key: str, body: bytes) -> Answer:
        """Do what is asked, if it is asked rightly."""
        if not hmac.compare_digest(key.encode(), f"Bearer {self.api_key}".encode()):
            return _refusal(401, "10009", "Authentication failed")
        if self._odd:
            return self._odd.popleft()
        if path.startswith(("/v2/messaging_profiles", "/v2/phone_numbers/messaging?")):
            return self._listed(path)
        if path != "/v2/messages":
            return _refusal(404, "10005", "Resource not found")
        asked = json.loads(body)
        addresses = (asked.get("from"), asked.get("to"))
        if not all(isinstance(one, str) and NUMBER.fullmatch(one) for one in addresses):
            return _refusal(422, "40310", "Invalid 'to' address")
        if not (asked.get("text") or asked.get("media_urls")) or not set(asked) <= KEYS:
            return _refusal(422, "10015", "Invalid parameter")
        self.accepted.append({"id": str(uuid4()), **asked})
        return Answer(200, {"data": {"id": self.accepted[-1]["id"], "record_type": "message"}})

    def _listed(self, path: str) -> Answer:
        """The only messaging profile, or the settings of a number."""
        if path.startswith("/v2/messaging_profiles/"):
            return Answer(200, {"data": self.profile})
        if path.startswith("/v2/messaging_profiles"):
            return Answer(200, {"data": [self.profile]})
        asked = parse_qs(urlsplit(path).query).get("filter[phone_number]", [""])[0]
        known = [{"phone_number": asked, "messaging_profile_id": "profile"}]
        return Answer(200, {"data": known if asked in self.numbers else []})


def _refusal(status: int, code: str, title: str) -> Answer:
    return Answer(status, {"errors": [{"code": code, "title": title, "detail": f"{title}."}]})


def _handler(fake: FakeTelnyx) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = fake.answer(self.path, self.headers.get("Authorization", ""), body)
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer.raw)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    return Handler

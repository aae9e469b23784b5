"""A Ringotel that checks what it is asked: one address, methods in the body, errors in every form.

In a test::

    with FakeRingotel() as ringotel:
        ringotel.next(Answer(200, {"error": {"message": "…"}}))
        assert ringotel.shown == […]
"""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.bandwidth import Answer
from tests.fakes.serving import Serving
from tests.waiting import PATIENCE

TOKEN = "a-ringotel-key-of-the-tests"
ORG = "15000000000000000000"


class FakeRingotel(Serving):
    """The server. ``shown`` has (extension, peer, type, content); ``calls`` every method asked."""

    def __init__(self) -> None:
        self.users: list[dict[str, Any]] = [
            {"phone": "201", "name": "Ann", "id": "u1", "state": 2},
            {"phone": "202", "name": "Bob", "id": "u2", "state": 0},
        ]
        self.shown: list[tuple[str, str, int, str]] = []
        self.delivered: list[str] = []
        self.calls: list[str] = []
        self._odd: deque[Answer] = deque()
        self._changed = threading.Condition()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, content = fake._answer(self.path, dict(self.headers), body)
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/api"
        return {"RINGOTEL_TOKEN": TOKEN, "RINGOTEL_API_URL": url, "RINGOTEL_ORG_ID": ORG}

    def wait_for(self, count: int, seconds: float = PATIENCE) -> None:
        """Wait until so many messages are shown."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.shown) >= count, seconds), self.calls

    def next(self, *odd: Answer) -> None:
        """Answer the next requests like this, one after the other."""
        self._odd.extend(odd)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        asked = json.loads(body)
        self.calls.append(asked["method"])
        if self._odd:
            odd = self._odd.popleft()
            return odd.status, odd.body
        if path != "/api":
            return 404, b"<html>not here</html>"
        lower = {name.lower(): value for name, value in headers.items()}
        if lower.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": {"message": "Unauthorized"}}
        assert lower["content-type"] == "application/json"
        assert set(asked) == {"method", "params"}
        params = asked["params"]
        if params.pop("orgid", None) != ORG:
            return 200, {"error": {"message": "Organization not found"}}
        return 200, getattr(self, f"_{asked['method']}")(params)

    def _getChatUsers(self, params: dict[str, Any]) -> dict[str, Any]:
        assert not params
        return {"result": self.users}

    def _delivered(self, params: dict[str, Any]) -> dict[str, Any]:
        assert set(params) == {"messageid"}
        self.delivered.append(params["messageid"])
        return {"result": {}}

    def _message(self, params: dict[str, Any]) -> dict[str, Any]:
        assert set(params) == {"from", "to", "content", "type"}, params
        assert params["type"] in (1, 7)
        assert isinstance(params["content"], str)
        assert params["content"]
        if params["to"] not in {user["phone"] for user in self.users}:
            return {"result": {"error": "User not found in organization", "status": -1}}
        if params["type"] == 7:
            assert urlsplit(params["content"]).query, "a file needs a signed link"
        with self._changed:
            self.shown.append((params["to"], params["from"], params["type"], params["content"]))
            self._changed.notify_all()
        session = f"s-{params['to']}-{params['from']}"
        return {"result": {"messageid": f"m{len(self.shown)}", "sessionid": session}}

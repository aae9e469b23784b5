"""The app's server: takes signed pushes, checks them, and can be told to misbehave."""

import base64
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler
from typing import Any

from standardwebhooks import Webhook

from tests.fakes.serving import QuietServer, Serving
from tests.waiting import PATIENCE

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()


class Receiver(Serving):
    """Keeps every push that is properly signed; ``answers`` are given before 204s.

    It takes ``seconds`` for each.
    """

    def __init__(self) -> None:
        self.pushes: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.forged = 0
        self.answers: deque[int] = deque()
        self.seconds = 0.0
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                time.sleep(receiver.seconds)
                self.send_response(receiver._take(dict(self.headers), body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/push"

    @property
    def env(self) -> dict[str, str]:
        """The variables that send pushes here."""
        return {"PUSH_WEBHOOK_URL": self.url, "PUSH_WEBHOOK_SECRET": SECRET}

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        with self._changed:
            try:
                Webhook(SECRET).verify(body, {k.lower(): v for k, v in headers.items()})
            except Exception:
                self.forged += 1
                return 401
            status = self.answers.popleft() if self.answers else 204
            if status < 300:
                self.pushes.append(json.loads(body))
                self.ids.append({k.lower(): v for k, v in headers.items()}["webhook-id"])
                self._changed.notify_all()
            return status

    def wait_for(self, count: int, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        """Wait until so many pushes were taken, and return all."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.pushes) >= count, seconds)
            assert arrived, f"only {len(self.pushes)} of {count} pushes came"
            return list(self.pushes)

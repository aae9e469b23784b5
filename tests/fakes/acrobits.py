"""Acrobits' side: the push relay, which checks what it is told, and the app as a program.

In a test::

    with FakeRelay() as relay:
        app = App(account, client)          # the fields that ``flask devices provision`` prints
        app.start(relay.install(app))
        assert app.fetch()["received_smss"] == […]
"""

import json
import secrets
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import fromstring

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fakes.bandwidth import Answer

ALLOWED = {
    *("verb", "AppId", "DeviceToken", "Selector", "Badge", "Sound", "UserName"),
    *("UserDisplayName", "Message", "ContentType", "Id", "ThreadId"),
}  # fmt: skip


class FakeRelay:
    """The push relay. ``pushes`` were taken; a token that is not in ``tokens`` is dead."""

    def __init__(self) -> None:
        self.pushes: list[dict[str, Any]] = []
        self.tokens: dict[str, str] = {}
        self._odd: deque[Answer] = deque()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = fake._answer(self.path, body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.raw)))
                self.end_headers()
                self.wfile.write(answer.raw)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> "FakeRelay":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        return {"ACROBITS_PUSH_URL": f"http://127.0.0.1:{self._server.server_address[1]}/pnm2/send"}

    def install(self, app_id: str = "cz.acrobits.softphone.Groundwire") -> dict[str, str]:
        """What an app knows of itself after it has registered with the relay."""
        token = secrets.token_hex(32)
        self.tokens[token] = app_id
        return {
            "selector": f"{secrets.token_hex(16).upper()}:7C3A0D14",
            "pushTokenOther": token,
            "pushappid_other": app_id,
        }

    def next(self, *odd: Answer) -> None:
        """Answer the next pushes like this, one after the other."""
        self._odd.extend(odd)

    def _answer(self, path: str, body: bytes) -> Answer:
        if self._odd:
            return self._odd.popleft()
        push = json.loads(body)
        if path != "/pnm2/send" or not {"verb", "AppId", "DeviceToken", "Selector"} <= set(push):
            return Answer(200, {"code": 400, "response": "Missing"})
        assert set(push) <= ALLOWED, push
        assert push["verb"] == "NotifyTextMessage"
        assert isinstance(push["Badge"], int)
        if self.tokens.get(push["DeviceToken"]) != push["AppId"]:
            return Answer(200, {"code": 404, "response": "Token not found"})
        self.pushes.append(push)
        return Answer(200, {"code": 200, "response": "OK"})


class App:
    """The app: expands the templates of its account and calls what they name."""

    def __init__(self, account: dict[str, str], client: FlaskClient) -> None:
        assert account["allowMessage"] == "1"
        self.account = account
        self.client = client
        self.words: dict[str, str] = {}
        self.last_id = ""
        self.last_sent_id = ""

    @classmethod
    def of_xml(cls, xml: str, client: FlaskClient) -> "App":
        """An app that was provisioned with account XML."""
        root = fromstring(xml)
        assert root.tag == "account"
        return cls({field.tag: field.text or "" for field in root}, client)

    def start(self, words: dict[str, str]) -> TestResponse:
        """Start: report the push token."""
        self.words = words
        return self.call("pushTokenReporter", words)

    def call(self, name: str, words: dict[str, str], **more: Any) -> TestResponse:
        """Make one call of the account with its template filled in, as JSON."""
        body = self.account[f"{name}PostData"]
        for word, value in words.items():
            body = body.replace(f"%{word}%", json.dumps(value)[1:-1])
        address = urlsplit(self.account[f"{name}Url"])
        assert not address.query
        kind = self.account[f"{name}ContentType"]
        return self.client.post(address.path, data=body, content_type=kind, **more)

    def send(self, to: str, body: str, content_type: str = "text/plain") -> TestResponse:
        """Send a message."""
        words = {"sms_to": to, "sms_body": body, "content_type": content_type}
        return self.call("genericSmsSend", words)

    def fetch(self) -> dict[str, Any]:
        """Fetch, and remember how far."""
        known = {"last_known_sms_id": self.last_id, "last_known_sent_sms_id": self.last_sent_id}
        answer = self.call("genericSmsFetch", known)
        assert answer.status_code == 200, answer.text
        told = dict(answer.json or {})
        if told["received_smss"]:
            self.last_id = told["received_smss"][-1]["sms_id"]
        if told["sent_smss"]:
            self.last_sent_id = told["sent_smss"][-1]["sms_id"]
        return told

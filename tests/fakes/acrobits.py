"""Acrobits' side: the push relay, which checks what it is told, and the app as a program.

In a test::

    with FakeRelay() as relay:
        app = App(account, client)          # the fields that ``flask devices provision`` prints
        app.start(relay.install(app))
        assert app.fetch()["received_smss"] == […]
"""

import json
import secrets
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import fromstring

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fakes.push_services import Answer, PushService, Refused

ALLOWED = {
    *("verb", "AppId", "DeviceToken", "Selector", "Sound", "UserName"),
    *("UserDisplayName", "Message", "ContentType", "Id", "ThreadId"),
}  # fmt: skip


class FakeRelay(PushService):
    """The push relay. A push to a token that is not in ``tokens`` is answered as dead."""

    accepted = (200, '{"code": 200, "response": "OK"}')

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, str] = {}
        self._installed = self.install()

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        return {"ACROBITS_PUSH_URL": f"{self.url}/pnm2/send"}

    @property
    def address(self) -> dict[str, Any]:
        """What a device registers to be pushed to here."""
        words = self._installed
        return {
            "selector": words["selector"],
            "token": words["pushTokenOther"],
            "app_id": words["pushappid_other"],
        }

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """What was taken."""
        return [seen for _, seen in self.taken]

    def install(self, app_id: str = "cz.acrobits.softphone.Groundwire") -> dict[str, str]:
        """What another app knows of itself after it has registered with the relay."""
        token = secrets.token_hex(32)
        self.tokens[token] = app_id
        return {
            "selector": f"{secrets.token_hex(16).upper()}:7C3A0D14",
            "pushTokenOther": token,
            "pushappid_other": app_id,
        }

    def aside(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """A token that is not registered, or belongs to another app."""
        push = json.loads(body)
        if self.tokens.get(push.get("DeviceToken")) == push.get("AppId"):
            return None
        return Answer(200, '{"code": 404, "response": "Token not found"}')

    def check(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        """The verb, its needed parts, and nothing that the relay does not know."""
        push = json.loads(body)
        if path != "/pnm2/send" or headers["content-type"] != "application/json":
            raise Refused(404, f"no such page: {path}")
        if push.get("verb") != "NotifyTextMessage" or not push.get("Selector"):
            raise Refused(400, f"cannot be pushed: {push}")
        if not set(push) <= ALLOWED:
            raise Refused(400, f"odd parts: {push}")
        return push


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

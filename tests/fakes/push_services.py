"""Push services that check what they are given: of browsers, ntfy, and Firebase.

Proofs are judged by PyJWT and bodies opened by http-ece: by other hands than those that made them.
"""

import base64
import json
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.fakes.serving import QuietServer, Serving
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Answer:
    """What a service answers once instead of taking a push."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The call is not as it should be: the status that says so, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def plain(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unplain(written: str) -> bytes:
    """The bytes behind it."""
    return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))


class PushService(Serving):
    """An HTTP server. ``taken`` is what came through, as the app would see it, with its headers;
    ``wrong`` what was not as it should be. ``answers`` are given first, after every check."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], Any]] = []
        self.wrong: list[str] = []
        self.answers: deque[Answer] = deque()
        self.calls = 0
        self._changed = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = service._answer(self.path, headers, body)
                written = answer.body.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            def log_message(self, *_: object) -> None:
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        with self._changed:
            self.calls += 1
            try:
                aside = self.aside(path, headers, body)
                if aside is not None:
                    return aside
                seen = self.check(path, headers, body)
            except Refused as error:
                self.wrong.append(str(error))
                return Answer(error.status)
            if self.answers:
                return self.answers.popleft()
            self.taken.append((headers, seen))
            self._changed.notify_all()
            return Answer(*self.accepted)

    accepted: tuple[int, str] = (200, "{}")

    def aside(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """What is answered to calls that are no push."""
        return None

    def check(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        """What a push says, once everything about it is found right. Raises ``Refused``."""
        raise NotImplementedError

    @property
    def address(self) -> dict[str, Any]:
        """What a device registers to be pushed to here."""
        raise NotImplementedError

    def wait_for(self, count: int, seconds: float = PATIENCE) -> list[Any]:
        """Wait until so many pushes were taken, and return what they say."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.taken) >= count, seconds)
            assert arrived, f"only {len(self.taken)} of {count} came; {self.wrong}"
            return [seen for _, seen in self.taken]


class BrowserPush(PushService):
    """A browser's push service (RFC 8030), and the browser behind it, which opens what comes."""

    accepted = (201, "")

    def __init__(self) -> None:
        super().__init__()
        self._browser = ec.generate_private_key(ec.SECP256R1())
        self._auth = b"sixteen bytes in"
        self.keys: set[str] = set()  # VAPID keys seen

    @property
    def address(self) -> dict[str, Any]:
        """The subscription as the browser would give it."""
        point = self._browser.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        keys = {"p256dh": plain(point), "auth": plain(self._auth)}
        return {"endpoint": f"{self.url}/push/v1/abc", "keys": keys}

    def check(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        """VAPID, the headers and the size are right, and the browser can read it."""
        if path != "/push/v1/abc":
            raise Refused(404, f"no such subscription: {path}")
        self._prove(headers.get("authorization", ""))
        if not re.fullmatch("[0-9]+", headers.get("ttl", "")):
            raise Refused(400, "TTL is missing")
        if headers.get("urgency") not in ("very-low", "low", "normal", "high"):
            raise Refused(400, "the urgency is none")
        if not re.fullmatch("[A-Za-z0-9_-]{1,32}", headers.get("topic", "x")):
            raise Refused(400, "the topic is none")
        if headers.get("content-encoding") != "aes128gcm":
            raise Refused(415, "not encrypted")
        if len(body) > 4096:
            raise Refused(413, "too large")
        opened = http_ece.decrypt(
            body, private_key=self._browser, auth_secret=self._auth, version="aes128gcm"
        )
        return json.loads(opened)

    def _prove(self, authorization: str) -> None:
        found = re.fullmatch("vapid t=([^ ,]+), k=([A-Za-z0-9_-]+)", authorization)
        if found is None:
            raise Refused(401, f"no VAPID: {authorization}")
        token, public = found.groups()
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unplain(public))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                audience=self.url,
                options={"require": ["exp", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(403, f"VAPID: {error}") from None
        if claims["exp"] > time.time() + 86_400:
            raise Refused(403, "VAPID: good for more than a day")
        contact = claims.get("sub", "https://sms.example.com")
        if not contact.startswith(("mailto:", "https://")) or "localhost" in contact:
            raise Refused(403, f"VAPID: {contact} is no contact")
        self.keys.add(public)


class NtfyServer(PushService):
    """A server of ntfy's: publishing as JSON, to a topic that wants a token."""

    TOKEN = "tk_of_the_tests"

    @property
    def address(self) -> dict[str, Any]:
        """Where the phone listens."""
        return {"server": self.url, "topic": "phone_of_201", "token": self.TOKEN}

    def check(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        """The call is for a topic, and may publish to it."""
        if path != "/":
            raise Refused(404, f"no such page: {path}")
        if headers.get("authorization") != f"Bearer {self.TOKEN}":
            raise Refused(401, "the token is wrong")
        if len(body) > 4096:
            raise Refused(413, "too large")
        asked = json.loads(body)
        if asked["topic"] != "phone_of_201":
            raise Refused(403, f"no such topic: {asked['topic']}")
        if not asked["message"] or not set(asked) <= {"topic", "message", "title", "tags", "click"}:
            raise Refused(400, f"cannot be shown: {asked}")
        return asked


class Firebase(PushService):
    """Google's sign-in and FCM, in one."""

    accepted = (200, '{"name": "projects/textbridge-tests/messages/1"}')
    EMAIL = "push@textbridge-tests.iam.gserviceaccount.com"

    def __init__(self) -> None:
        super().__init__()
        self._key = rsa.generate_private_key(65537, 2048)
        self.granted: list[str] = []
        self.refused_sign_in: Answer | None = None

    @property
    def account(self) -> str:
        """The key file of the service account."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "textbridge-tests",
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": self.EMAIL,
                "token_uri": f"{self.url}/token",
            }
        )

    @property
    def env(self) -> dict[str, str]:
        """The variables that push through here."""
        return {"FCM_SERVICE_ACCOUNT": self.account, "FCM_BASE_URL": self.url}

    @property
    def address(self) -> dict[str, Any]:
        """What the SDK gave the app."""
        return {"token": "token-of-the-app"}

    def aside(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """The sign-in: the assertion is signed and says what it must."""
        if path != "/token":
            return None
        if self.refused_sign_in is not None:
            return self.refused_sign_in
        form = parse_qs(body.decode())
        if form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            raise Refused(400, f"no such grant: {form['grant_type']}")
        try:
            claims = jwt.decode(
                form["assertion"][0],
                self._key.public_key(),
                algorithms=["RS256"],
                audience="https://oauth2.googleapis.com/token",
                issuer=self.EMAIL,
                options={"require": ["exp", "iat"]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(400, f"assertion: {error}") from None
        if claims["scope"] != "https://www.googleapis.com/auth/firebase.messaging":
            raise Refused(400, "the scope is another")
        if claims["exp"] - claims["iat"] > 3600:
            raise Refused(400, "longer than an hour")
        self.granted.append(f"ya29.{len(self.granted)}")
        granted = {"access_token": self.granted[-1], "expires_in": 3599, "token_type": "Bearer"}
        return Answer(200, json.dumps(granted))

    def check(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        """The call has a token of ours, and FCM takes what it says."""
        if path != "/v1/projects/textbridge-tests/messages:send":
            raise Refused(404, f"no such project: {path}")
        if not self.granted or headers.get("authorization") != f"Bearer {self.granted[-1]}":
            raise Refused(401, "the access token is wrong")
        if len(body) > 4096:
            raise Refused(400, "too large")
        message = json.loads(body)["message"]
        if not set(message) <= {"token", "fid", "data", "android", "apns"}:
            raise Refused(400, f"no such field: {set(message)}")
        if len({"token", "fid"} & set(message)) != 1:
            raise Refused(400, "one target")
        for name, value in message["data"].items():
            reserved = name in ("from", "message_type") or name.startswith(("gcm", "google"))
            if not isinstance(value, str) or reserved:
                raise Refused(400, f"data.{name} cannot be sent")
        expires = int(message["apns"]["headers"]["apns-expiration"])
        if not time.time() < expires < time.time() + 86_401:
            raise Refused(400, "it expires at another time")
        del message["apns"]["headers"]["apns-expiration"]
        return message

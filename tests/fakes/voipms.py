"""A VoIP.ms that really checks: multipart or GET, credentials, addresses, numbers, lengths, media.

In a test::

    with FakeVoipMs() as voipms:
        env = voipms.env
        voipms.next("sendSMS", Trouble.CUT, "limit_reached", Answer(503, b"<html>"))
        voipms.receive("Are you open today?", sender="3035550177", to="2025550143")
        assert voipms.accepted == […]

``accepted`` has what it has sent, ``messages`` are the rows of its lists.
"""

import json
import secrets
import threading
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta, timezone
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.bandwidth import Answer, Trouble
from tests.fakes.serving import QuietServer, Serving

Odd = Trouble | Answer | str  # a text is a status
FORM = "application/x-www-form-urlencoded"
SOAP = Answer(500, b'<?xml version="1.0"?><SOAP-ENV:Fault/>', {"Content-Type": "text/xml"})


class FakeVoipMs(Serving):
    """The server. Everything it has seen may be read at any time; lists only grow."""

    def __init__(self) -> None:
        self.username = "texts@example.com"
        self.password = secrets.token_hex(12)
        self.allowed = True
        self.balance = "12.50"
        self.dids: list[dict[str, Any]] = [did("2025550143")]
        self.accepted: list[dict[str, Any]] = []
        self.messages: dict[str, list[dict[str, Any]]] = {"sms": [], "mms": []}
        self.media: dict[str, list[str]] = {}
        self.requests: list[dict[str, str]] = []
        self._odd: defaultdict[str, deque[Odd]] = defaultdict(deque)
        self._ids = {"sms": 110990000, "mms": 110990000}  # two sequences that meet
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        super().__exit__()

    @property
    def base_url(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/v1/rest.php"

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        return {
            "VOIPMS_API_USERNAME": self.username,
            "VOIPMS_API_PASSWORD": self.password,
            "VOIPMS_BASE_URL": self.base_url,
        }

    def next(self, method: str, *odd: Odd) -> None:
        """Misbehave at the next requests for a method, one after the other."""
        with self._lock:
            self._odd[method] += odd

    def receive(
        self, text: str, *, sender: str, to: str, at: datetime | None = None, **more: Any
    ) -> dict[str, Any]:
        """Take in a message, with ``media`` an MMS; returns the body of its webhook."""
        kind = "mms" if "media" in more else "sms"
        row = self.keep(kind, "1", to, sender, text, at=at, **more)
        moment = at or datetime.now(UTC)
        payload = {
            "id": int(row["id"]),
            "record_type": "message",
            "from": {"phone_number": sender},
            "to": [{"phone_number": to, "status": "webhook_delivered"}],
            "text": text,
            "type": kind.upper(),
            "media": [{"url": link} for link in more.get("media", [])],
            "received_at": moment.isoformat(timespec="microseconds"),
        }
        event = {"event_type": "message.received", "record_type": "event", "payload": payload}
        return {"data": {"id": int(row["id"]), **event}}

    def keep(
        self,
        kind: str,
        direction: str,
        number: str,
        contact: str,
        text: str,
        *,
        at: datetime | None = None,
        media: list[str] | None = None,
        carrier_status: str = "Information not available",
    ) -> dict[str, Any]:
        """Add a row to a list; ``at`` is any time with a zone."""
        with self._lock:
            self._ids[kind] += 1
            row = {
                "id": str(self._ids[kind]),
                "at": at or datetime.now(UTC),
                "type": direction,
                "did": number,
                "contact": contact,
                "message": text,
                "carrier_status": carrier_status,
            }
            if kind == "mms":
                places = [*(media or []), "", "", ""][:3]
                row |= {f"col_media{place}": link for place, link in enumerate(places, 1)}
                row["media"] = places
            self.messages[kind].append(row)
        return row

    # What the handler asks

    def answer(self, asked: dict[str, str]) -> tuple[Answer, Odd | None]:
        """What it answers to a request, and how it misbehaves with it."""
        method = asked.get("method", "")
        with self._lock:
            self.requests.append(asked)
            odd = self._odd[method].popleft() if self._odd[method] else None
        if isinstance(odd, Answer):
            return odd, None
        if isinstance(odd, str):
            return answer_of(status=odd), None
        if odd is Trouble.DROP:
            return answer_of(status="success"), odd
        return answer_of(**self._do(method, asked)), odd

    def _do(self, method: str, asked: dict[str, str]) -> dict[str, Any]:
        if not method:
            return {"status": "missing_method"}
        if asked.get("content_type") != "json":
            return {"status": "missing_params"}
        if (asked.get("api_username"), asked.get("api_password")) != (self.username, self.password):
            words = "Username or Password is incorrect"
            return {"status": "invalid_credentials", "message": words}
        if method != "getIP" and not self.allowed:
            return {"status": "ip_not_enabled"}
        known = getattr(self, f"_{method}", None)
        return known(asked) if known else {"status": "invalid_method"}

    def _getIP(self, asked: dict[str, str]) -> dict[str, Any]:
        return {"status": "success", "ip": "203.0.113.7"}

    def _getBalance(self, asked: dict[str, str]) -> dict[str, Any]:
        return {"status": "success", "balance": {"current_balance": self.balance}}

    def _getDIDsInfo(self, asked: dict[str, str]) -> dict[str, Any]:
        return {"status": "success", "dids": self.dids} if self.dids else {"status": "no_did"}

    def _sendSMS(self, asked: dict[str, str]) -> dict[str, Any]:
        if not asked.get("message"):
            return {"status": "missing_sms"}
        if len(asked["message"]) > 160:
            return {"status": "sms_toolong"}
        return self._send("sms", asked)

    def _sendMMS(self, asked: dict[str, str]) -> dict[str, Any]:
        links = [asked[name] for name in ("media1", "media2", "media3") if name in asked]
        if len(asked.get("message", "")) > 2048 or not (asked.get("message") or links):
            return {"status": "invalid_sms"}
        if not all(link.startswith("https://") for link in links):
            return {"status": "invalid_media"}
        return self._send("mms", asked)

    def _send(self, kind: str, asked: dict[str, str]) -> dict[str, Any]:
        if asked.get("did") not in {row["did"] for row in self.dids}:
            return {"status": "invalid_did"}
        if not (len(asked.get("dst", "")) == 10 and asked["dst"].isdigit()):
            return {"status": "invalid_dst"}
        row = self.keep(kind, "0", asked["did"], asked["dst"], asked["message"])
        with self._lock:
            self.accepted.append({"kind": kind, "id": row["id"], **asked})
        return {"status": "success", kind: int(row["id"])}

    def _getSMS(self, asked: dict[str, str]) -> dict[str, Any]:
        return self._list("sms", asked)

    def _getMMS(self, asked: dict[str, str]) -> dict[str, Any]:
        return self._list("mms", asked)

    def _list(self, kind: str, asked: dict[str, str]) -> dict[str, Any]:
        """Rows, newest first; their times are of the zone that was asked for."""
        try:
            zone = timezone(timedelta(hours=float(asked["timezone"])))
            first, last = (datetime.fromisoformat(asked[name]).date() for name in ("from", "to"))
        except (KeyError, ValueError):
            return {"status": "invalid_date"}
        if not 0 <= (last - first).days <= 92:
            return {"status": "invalid_daterange"}
        rows = [
            {**row, "date": row["at"].astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")}
            for row in reversed(self.messages[kind])
            if first <= row["at"].astimezone(zone).date() <= last
            and all(asked.get(name, row[name]) == row[name] for name in ("type", "did", "contact"))
        ]
        rows = [{n: value for n, value in row.items() if n != "at"} for row in rows]
        rows = rows[: int(asked.get("limit", "50"))]
        return {"status": "success", "sms": rows} if rows else {"status": f"no_{kind}"}

    def _getMediaMMS(self, asked: dict[str, str]) -> dict[str, Any]:
        links = self.media.get(asked.get("id", ""), [])
        return {"status": "success", "id": asked.get("id"), "media": [*links, "", "", ""][:3]}

    def wait(self, seconds: float) -> None:
        """Wait; less when the server is being closed."""
        self._closing.wait(seconds)


def did(number: str, **more: Any) -> dict[str, Any]:
    """A number of the account as getDIDsInfo tells it."""
    return {
        "did": number,
        "sms_available": 1,
        "sms_enabled": "1",
        "mms_available": "1",
        "webhook": "",
        "webhook_enabled": "0",
        "sms_url_callback": "",
        "sms_url_callback_enabled": "0",
        "dialmode": "2",
        **more,
    }


def answer_of(**words: Any) -> Answer:
    """The API's answer: 200 whatever happened."""
    return Answer(200, words)


class _Server(QuietServer):
    daemon_threads = True
    fake: FakeVoipMs


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._give(*self.server.fake.answer(dict(parse_qsl(urlsplit(self.path).query))))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content_type = self.headers.get("Content-Type", "")
        if not content_type.startswith("multipart/form-data"):
            self._give(SOAP, None)
            return
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
        asked = {
            str(part.get_param("name", header="content-disposition")): bytes(
                part.get_payload(decode=True)
            ).decode()
            for part in parts
        }
        self._give(*self.server.fake.answer(asked))

    def _give(self, answer: Answer, odd: Odd | None) -> None:
        if odd is Trouble.HANG:
            self.server.fake.wait(120)
        if odd in (Trouble.HANG, Trouble.CUT, Trouble.DROP):
            return
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.raw)))
        self.end_headers()
        self.wfile.write(answer.raw)


def as_json(body: dict[str, Any]) -> bytes:
    """A webhook's body in bytes."""
    return json.dumps(body).encode()

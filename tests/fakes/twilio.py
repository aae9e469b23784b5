"""A Twilio that really checks: credentials, forms, senders; with lists, files and signed webhooks.

In a test::

    with FakeTwilio() as twilio:
        env = twilio.env
        twilio.webhook = "http://127.0.0.1:8000/webhook/twilio/sms"
        twilio.next(Trouble.CUT, Answer(429, {"code": 20429, "message": "…", "status": 429}))
        twilio.receive("Are you open today?", sender="+13035550177", to="+12025550143")
        assert twilio.accepted == […]
"""

import base64
import hashlib
import hmac
import http.client
import re
import secrets
import socket
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fakes.bandwidth import Answer, Odd, Trouble
from tests.fakes.serving import QuietServer, Serving

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
NUMBERS_ONLY = ("+1", "+52")
FIELDS = {"To", "From", "Body", "MediaUrl", "MessagingServiceSid", "StatusCallback"}
WHATSAPP = "whatsapp:"
FORM = "application/x-www-form-urlencoded"


class FakeTwilio(Serving):
    """The server. ``accepted`` lists what was accepted for sending, oldest first.

    ``fates`` are told of each message at its ``StatusCallback``: a status, or one with its code.
    """

    def __init__(self) -> None:
        self.account = "AC" + secrets.token_hex(16)
        self.auth_token = secrets.token_hex(16)
        self.service = "MG" + secrets.token_hex(16)
        self.numbers: dict[str, dict[str, Any]] = {}
        self.add_number("+12025550143")
        self.status, self.type = "active", "Full"
        self.webhook = ""
        self.fates: list[str | tuple[str, int]] = []
        self.accepted: list[dict[str, Any]] = []
        self.listed: list[dict[str, Any]] = []
        self.files: dict[str, tuple[str, bytes]] = {}
        self.fetched: list[tuple[str, str | None]] = []
        self.page_size = 50
        self.clock = timedelta()
        self._odd: deque[Odd] = deque()
        self._posting: list[threading.Thread] = []
        self._closing = threading.Event()
        self._server = _Server(self)

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.settle()
        super().__exit__()

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def root(self) -> str:
        """The path below which everything of the account is."""
        return f"/2010-04-01/Accounts/{self.account}"

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge uses it."""
        return {
            "TWILIO_ACCOUNT_SID": self.account,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_BASE_URL": self.origin,
        }

    def next(self, *odd: Odd) -> None:
        """Misbehave at the next requests, one after the other."""
        self._odd += odd

    def settle(self) -> None:
        """Wait until every status has been told."""
        for thread in self._posting:
            thread.join(10)

    def add_number(self, number: str, **about: Any) -> None:
        """Give the account a number."""
        can = {"sms": True, "mms": True, "voice": True}
        row = {"phone_number": number, "capabilities": can, "sms_url": "", "sms_method": "POST"}
        self.numbers[number] = {**row, "sms_application_sid": "", **about}

    def receive(self, text: str, *, sender: str, to: str, files: int = 0, tell: bool = True) -> str:
        """A text comes in: it is listed and, with ``tell``, posted; returns its id."""
        sid = ("MM" if files else "SM") + secrets.token_hex(16)
        media = [self._offer(sid) for _ in range(files)]
        self._list("inbound", sid, sender, to, text, files, "received")
        form = {
            "ToState": "",
            "AccountSid": self.account,
            "ApiVersion": "2010-04-01",
            "Body": text,
            "From": sender,
            "MessageSid": sid,
            "NumMedia": str(files),
            "NumSegments": "1",
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "To": to,
        }
        form |= {f"MediaUrl{n}": url for n, url in enumerate(media)}
        if tell:
            assert self.post(self.webhook, form) == 200
        return sid

    def post(self, url: str, form: dict[str, str]) -> int:
        """Post a signed form; returns the status of the answer."""
        where = urlsplit(url)
        signed = url + "".join(name + form[name] for name in sorted(form))
        digest = hmac.new(self.auth_token.encode(), signed.encode(), hashlib.sha1).digest()
        headers = {
            "Content-Type": f"{FORM}; charset=UTF-8",
            "X-Twilio-Signature": base64.b64encode(digest).decode(),
        }
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        try:
            target = f"{where.path}?{where.query}" if where.query else where.path
            connection.request("POST", target, urlencode(form), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _offer(self, message: str) -> str:
        sid = "ME" + secrets.token_hex(16)
        self.files[f"{self.root}/Messages/{message}/Media/{sid}"] = (
            "image/png",
            b"\x89PNG\r\n\x1a\n",
        )
        return f"{self.origin}{self.root}/Messages/{message}/Media/{sid}"

    def _list(
        self, direction: str, sid: str, sender: str, to: str, body: str, files: int, status: str
    ) -> dict[str, Any]:
        at = format_datetime(datetime.now(UTC) + self.clock)
        row = {
            "sid": sid,
            "account_sid": self.account,
            "from": sender,
            "to": to,
            "body": body,
            "status": status,
            "direction": direction,
            "num_segments": "1",
            "num_media": str(files),
            "error_code": None,
            "error_message": None,
            "date_created": at,
            "date_sent": at if direction == "inbound" else None,
        }
        self.listed.insert(0, row)
        return row

    # What the handler asks

    def is_allowed(self, authorization: str) -> bool:
        """Whether a request shows the account's credentials."""
        known = base64.b64encode(f"{self.account}:{self.auth_token}".encode()).decode()
        return hmac.compare_digest(authorization.encode(), f"Basic {known}".encode())

    def take(self, kind: str, body: bytes) -> Answer:
        """Check a message; an accepted one is in ``accepted`` and in the list."""
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        asked, media = dict(pairs), [value for name, value in pairs if name == "MediaUrl"]
        code = 20001 if not kind.startswith(FORM) else self._fault(asked, media)
        if code:
            return refusal(400, code)
        sid = ("MM" if media else "SM") + secrets.token_hex(16)
        self.accepted.append({**asked, "MediaUrl": media, "sid": sid})
        row = self._list(
            "outbound-api", sid, asked["From"], asked["To"], asked.get("Body", ""), len(media),
            "queued",
        )  # fmt: skip
        thread = threading.Thread(target=self._tell, args=(asked, row), daemon=True)
        self._posting.append(thread)
        thread.start()
        return Answer(201, row)

    def _fault(self, asked: dict[str, str], media: list[str]) -> int:
        sender, to = asked.get("From", ""), asked.get("To", "")
        if sender.startswith(WHATSAPP) and to.startswith(WHATSAPP):
            sender, to = sender.removeprefix(WHATSAPP), to.removeprefix(WHATSAPP)
        named = NAME.fullmatch(sender) is not None
        checks = [
            (20001, set(asked) <= FIELDS),
            (21604, bool(to)),
            (21211, E164.fullmatch(to) is not None),
            (21603, bool(sender)),
            (21212, named or E164.fullmatch(sender) is not None),
            (21606, named or sender in self.numbers),
            (21612, not (named and to.startswith(NUMBERS_ONLY))),
            (21621, not (named and media)),
            (21701, asked.get("MessagingServiceSid") in (None, self.service)),
            (21602, bool(asked.get("Body") or media)),
            (21617, len(asked.get("Body", "")) <= 1600),
            (21623, len(media) <= 10),
            (21620, all(urlsplit(url).scheme in ("http", "https") for url in media)),
        ]
        return next((code for code, passed in checks if not passed), 0)

    def _tell(self, asked: dict[str, str], row: dict[str, Any]) -> None:
        for fate in self.fates:
            status, code = fate if isinstance(fate, tuple) else (fate, None)
            row |= {"status": status, "error_code": code}
            form = {
                "AccountSid": self.account,
                "ApiVersion": "2010-04-01",
                "From": asked["From"],
                "MessageSid": row["sid"],
                "MessageStatus": status,
                "SmsSid": row["sid"],
                "SmsStatus": status,
                "To": asked["To"],
            }
            self.post(asked["StatusCallback"], form | ({"ErrorCode": str(code)} if code else {}))

    def look(self, target: str) -> Answer:
        """What is at an address."""
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        listed = path.removeprefix(self.root)
        if listed == ".json":
            return Answer(200, {"sid": self.account, "status": self.status, "type": self.type})
        if listed == "/IncomingPhoneNumbers.json":
            return self._page(path, query, "incoming_phone_numbers", list(self.numbers.values()))
        if listed == "/Messages.json":
            rows = [row for row in self.listed if _fits(row, query)]
            return self._page(path, query, "messages", rows)
        if found := re.fullmatch(r"/Messages/(\w+)/Media\.json", listed):
            folder = f"{self.root}/Messages/{found[1]}/Media/"
            rows = [{"sid": f[len(folder) :]} for f in self.files if f.startswith(folder)]
            return self._page(path, query, "media_list", rows)
        if path in self.files:
            return Answer(307, b"", {"Location": f"https://mms.twiliocdn.com{path}"})
        return refusal(404, 20404)

    def _page(self, path: str, query: dict[str, str], kind: str, rows: list[Any]) -> Answer:
        start = int(query.get("Page", "0"))
        size = min(int(query.get("PageSize", "50")), self.page_size)
        more = {**query, "Page": str(start + 1), "PageSize": str(size)}
        following = f"{path}?{urlencode(more)}" if len(rows) > (start + 1) * size else None
        return Answer(
            200, {kind: rows[start * size : (start + 1) * size], "next_page_uri": following}
        )

    def odd(self, method: str) -> Odd | None:
        """How to misbehave at this request, if at all."""
        return self._odd.popleft() if self._odd else None

    def wait(self) -> None:
        """Wait until the server is being closed."""
        self._closing.wait(120)


def refusal(status: int, code: int) -> Answer:
    """An error as Twilio answers it."""
    link = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(
        status, {"code": code, "message": "It says why.", "more_info": link, "status": status}
    )


def _fits(row: dict[str, Any], query: dict[str, str]) -> bool:
    since, sent = query.get("DateSent>"), row["date_sent"]
    if since and (not sent or parsedate_to_datetime(sent).date().isoformat() < since):
        return False
    return all(query.get(name, row[name.lower()]) == row[name.lower()] for name in ("To", "From"))


class _Server(QuietServer):
    daemon_threads = True

    def __init__(self, fake: FakeTwilio) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        odd = fake.odd(self.command)
        if odd is Trouble.DROP:
            self._cut()
            return
        answer = odd if isinstance(odd, Answer) else self._answer(body)
        if odd in (Trouble.CUT, Trouble.HANG):
            if odd is Trouble.HANG:
                fake.wait()
            self._cut()
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.raw)))
        self.end_headers()
        self.wfile.write(answer.raw)

    do_GET = do_POST

    def _answer(self, body: bytes) -> Answer:
        fake, shown = self.server.fake, self.headers.get("Authorization")
        fake.fetched.append((self.path, shown))
        if self.path.startswith("/cdn/"):
            if shown is not None:
                return Answer(400, b"<Error>Only one auth mechanism allowed</Error>")
            content_type, content = fake.files[self.path.removeprefix("/cdn")]
            return Answer(200, content, {"Content-Type": content_type})
        if not fake.is_allowed(shown or ""):
            return refusal(401, 20003)
        if self.command == "GET":
            return fake.look(self.path)
        if self.path != f"{fake.root}/Messages.json":
            return refusal(404, 20404)
        return fake.take(self.headers.get("Content-Type", ""), body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

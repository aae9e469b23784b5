"""G22: canary secrets and canary texts through a whole run, and then looked for everywhere.

Every secret of the environment is a canary, so are the words of the texts. Everything goes wrong
that can: carriers refuse the credentials, break off and cannot be reached, so do push and mail;
callers show wrong proofs, right ones at the wrong place, and secrets where none belong.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from bench.street import TOKEN
from blueprints.cli.config import SECTIONS
from services.config import keys, variables
from services.core.messages import Attachment, Message
from services.http import Http
from services.providers.base import Surroundings
from tests import payload_files
from tests.fakes.bandwidth import Answer, Trouble
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import DESK, NUMBER, Ground, bearer, demand, wait_until
from torture.traffic import rows

TEXT_IN, TEXT_OUT, NAME = "heliotrope-in", "heliotrope-out", "heliotrope-name"
TEXTS = (TEXT_IN, TEXT_OUT, NAME)
NOWHERE = "http://127.0.0.1:9"  # nobody listens there

# Whose secrets may be any text.
PLAIN = ("ADMIN_", "APP_", "APIDAZE_", "VOIPMS_", "WAVIX_", "RINGOTEL_", "MAIL_")

# Where the texts themselves are kept, or what a person of the extension has written.
OF_TEXTS = {"messages", "search_index", "quarantine", "contacts", "conversations", "attachments"}
OF_TEXTS |= {f"search_index_{part}" for part in ("data", "idx", "content", "docsize", "config")}
OF_SECRETS = {"quarantine"}  # what a stranger wrote, as he wrote it


@dataclass
class Canaries:
    """Every secret by its name."""

    env: dict[str, str]
    made: dict[str, str]

    def all(self) -> dict[str, str]:
        """The secrets that were set, and those that came to be."""
        return {**{name: value for name, value in self.env.items() if value}, **self.made}

    def spelled(self) -> Iterator[tuple[str, bytes]]:
        """Each as it could stand somewhere."""
        for name, value in self.all().items():
            for form in {value, quote(value, safe=""), _base64(value), value.encode().hex()}:
                yield name, form.encode()


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode().rstrip("=")[:-1]


def canaries(ground: Ground) -> dict[str, str]:
    """The settings of everything, each secret with a word of its own in it; Bandwidth's are those
    of the carrier that plays it."""
    env = {
        name: value
        for carrier in payload_files.carriers()
        for name, value in payload_files.settings(carrier).items()
    }
    plain = (name for name in secret_names() if name.startswith(PLAIN))
    env |= {name: f"canary/{name.lower()}{'' if 'TOKEN' in name else '?x+y'}" for name in plain}
    played = {**ground.bandwidth.env, "BANDWIDTH_AUTH": "basic", "BANDWIDTH_WEBHOOK_TOKEN": TOKEN}
    return {
        **{name: value for name, value in env.items() if not name.startswith("BANDWIDTH_")},
        **played,
        **dict.fromkeys(("TWILIO_BASE_URL", "WAVIX_BASE_URL", "APIDAZE_BASE_URL"), NOWHERE),
        "VOIPMS_BASE_URL": f"{NOWHERE}/rest.php",
        "TWILIO_AUTH_TOKEN": "c0ffee0123456789abcdef0123456789",
        "RINGOTEL_ORG_ID": "15000000000000000000",
        "RINGOTEL_API_URL": f"{NOWHERE}/api",
        "ACROBITS_PUSH_URL": f"{NOWHERE}/pnm2",
        "PUSH_WEBHOOK_URL": f"{NOWHERE}/hook?key=canary-push-url",
        "MAIL_USERNAME": "texts",
        "APP_DEBUG": "true",
    }


def secret_names() -> set[str]:
    """The variables that hold secrets."""
    return {
        v.name
        for _, prefix, section in SECTIONS
        for v in variables.variables(section, prefix)
        if v.secret
    }


class Run:
    """One server, and everything that was seen of it from outside."""

    def __init__(self, ground: Ground) -> None:
        env = canaries(ground)
        numbers: list[dict[str, Any]] = [{**DESK, "emails": ["desk@example.com"]}]
        numbers += [
            {"number": f"+1202555015{n}", "carrier": carrier, "extensions": ["201"]}
            for n, carrier in enumerate(payload_files.carriers())
        ]
        self.server: Server = ground.server(numbers, name="storage", kind=Server, **env)
        known = {n: v for n, v in self.server.env.items() if n in secret_names()}
        self.secrets = Canaries(known, {})
        self.bandwidth = ground.bandwidth
        self.mailbox = ground.mailbox
        self.mailbox.refusals += [b"535 wrong\r\n", b"451 later\r\n", b"550 no\r\n"] * 3
        self.server.start()
        self.token = bearer(self.server)
        self.secrets.made["a device's token"] = self.token
        self.seen: list[tuple[str, bytes]] = []
        self.browser = ground.enter(requests.Session())
        taken = self.browser.post(
            f"{self.server.url}/admin/sign-in",
            data={"password": self.server.env["ADMIN_PASSWORD"]},
            timeout=20,
            allow_redirects=False,
        )
        demand(taken.status_code == 303, f"the operator cannot sign in: {taken.status_code}")

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> int:
        """One request; everything of its answer is looked at later."""
        content = json.dumps(body) if isinstance(body, (dict, list)) else body
        answer = requests.request(
            method, f"{self.server.url}{path}", data=content, timeout=20, allow_redirects=False,
            headers={"Content-Type": "application/json", **headers},
        )  # fmt: skip
        told = json.dumps(dict(answer.headers)).encode() + answer.content
        self.seen.append((f"{method} {path.partition('?')[0]} {answer.status_code}", told))
        return answer.status_code

    def app(self, method: str, path: str, body: object = None) -> int:
        """One call of the API by a device; what it is told of its own texts is not looked at."""
        status = self.ask(method, f"/api/v1{path}", body, Authorization=f"Bearer {self.token}")
        if status < 300:
            self.seen.pop()
        return status


def run(ground: Ground, scale: Scale) -> Figures:
    """Let everything happen, then look everywhere."""
    this = Run(ground)
    for _ in range(scale.pick(1, 20)):
        _hooks(this)
        _replies(this)
        _wrong_proofs(this)
    _settle(this)
    _pages(this)
    this.server.stop()
    return _looked_for(this)


def _hooks(this: Run) -> None:
    """Texts come in at every carrier, right, broken, and with pictures that cannot be had."""
    for n, carrier in enumerate(payload_files.carriers()):
        call = _example(this, carrier, f"+1202555015{n}")
        path = f"/webhook/{carrier}/sms?{call.query}"
        headers = dict(call.headers)
        status = this.ask(call.method, path, call.body, **headers)
        demand(status == 200, f"{carrier}'s own call is answered {status}")
        this.ask(call.method, path, call.body[: len(call.body) // 2], **headers)
        this.ask(call.method, path, b"{" + TEXT_IN.encode(), **headers)
        this.ask("PUT", path, call.body, **headers)


def _example(this: Run, carrier: str, number: str) -> Any:
    cls = payload_files.provider_class(carrier)
    settings, problems = variables.load(cls.Settings, cls.prefix(), this.server.env)
    assert settings is not None, problems
    token = settings.webhook_token or keys.derived_token(
        keys.key(this.server.env["APP_KEY"]), f"webhook:{carrier}"
    )
    this.secrets.made.setdefault(f"the webhook token of {carrier}", token)
    provider = cls(settings, Surroundings(Http(), token, this.server.url))
    file = Attachment(source_url=f"{NOWHERE}/2010-04-01/Accounts/x/a.jpg", name="a.jpg")
    return provider.example(Message("in", number, "+13035550177", text=TEXT_IN, media=(file,)))


def _replies(this: Run) -> None:
    """Replies by every carrier: refused, broken off, not reached; then one that passes."""
    for trouble in (Answer(401, b"who are you?"), Answer(500, b"oh"), Trouble.CUT, None):
        if trouble is not None:
            this.bandwidth.next("messages", trouble)
        this.app("POST", "/messages", {"to": "+13035550177", "from": NUMBER, "text": TEXT_OUT})
    for n, _ in enumerate(payload_files.carriers()):
        asked = {"to": "+13035550177", "from": f"+1202555015{n}", "text": TEXT_OUT}
        this.app("POST", "/messages", asked)
    this.app("PUT", "/contacts/+13035550177", {"name": NAME})


def _wrong_proofs(this: Run) -> None:
    """Right secrets at wrong places, as people paste them; wrong ones at the right places."""
    secrets = this.secrets.all()
    for secret in secrets.values():
        shown = quote(secret, safe="")
        this.ask("GET", f"/api/v1/me?token={shown}")
        this.ask("GET", f"/api/v1/nothing?ticket={shown}")
        this.ask("POST", f"/webhook/wavix/sms?token={shown}x", b"{}")
        this.ask("POST", f"/webhook/ringotel/{shown}", b"{}")
        this.ask("POST", f"/acrobits/send?password={shown}", b"{}")
        this.ask("POST", "/acrobits/fetch", {"username": "201", "password": secret + "x"})
        this.ask("GET", "/metrics", Authorization=f"Basic {_base64('admin:' + secret)}")
        this.ask("GET", "/api/v1/me", Authorization=f"Bearer {shown}x")
        this.ask("POST", "/api/v1/pair", {"code": secret, "device": {"name": "x"}})
        this.ask("POST", "/admin/sign-in", f"password={shown}x",
                 **{"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
        this.app("POST", "/messages", {"to": "nobody", "text": TEXT_OUT})
        this.app("POST", "/messages", {"to": "+13035550177", "text": TEXT_OUT, "x": 1})


def _settle(this: Run) -> None:
    """Wait until every destination was tried; what it refused altogether is then left alone."""
    untried = """SELECT destination FROM jobs WHERE kind <> 'reconcile'
        AND destination NOT IN (SELECT name FROM destinations)
        GROUP BY destination HAVING max(attempts) = 0"""
    wait_until(lambda: not rows(this.server.storage, untried), "a first try of everything")


def _pages(this: Run) -> None:
    """Everything that is for the operator and for whoever watches."""
    for path in ("/ready", "/metrics", "/up", "/", "/api/v1/openapi.json"):
        this.ask("GET", path)
    for path in ("", "carriers", *(f"carriers/{c}" for c in payload_files.carriers()), "devices",
                 "message-settings"):  # fmt: skip
        page = this.browser.get(f"{this.server.url}/admin/{path}", timeout=60)
        demand("Sign out" in page.text, f"/admin/{path} is not shown: {page.status_code}")
        this.seen.append((f"the page /admin/{path}", _without_addresses(page.content)))
    for command in (("status",), ("config", "check")):
        done = this.server.flask(*command)
        this.seen.append((f"flask {command[0]}", (done.stdout + done.stderr).encode()))


def _without_addresses(page: bytes) -> bytes:
    """A page without the webhooks' addresses, whose tokens the operator is to paste."""
    words = page.split(b"?token=")
    return words[0] + b"".join(word.partition(b"<")[2] for word in words[1:])


def _looked_for(this: Run) -> Figures:
    places = [*this.seen, ("the log", this.server.log.read_bytes())]
    tables = [r[0] for r in rows(this.server.storage, "SELECT name FROM sqlite_master "
                                 "WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]  # fmt: skip
    written = {t: repr(rows(this.server.storage, f'SELECT * FROM "{t}"')).encode() for t in tables}
    columns = ("error_reason", "error_code")
    reasons = rows(this.server.storage, f"SELECT {', '.join(columns)} FROM messages")
    errors = [("the errors of messages", repr(reasons).encode())]
    places += [(f"table {t}", content) for t, content in written.items() if t not in OF_TEXTS]
    demand(len(places[-1][1]) > 0 and len(reasons) > 8, "hardly anything has happened")
    for name, secret in this.secrets.spelled():
        for place, content in [*places, *errors, *_kept_texts(written)]:
            demand(secret not in content, f"{name} stands in {place}: {_around(content, secret)}")
    for text in TEXTS:
        for place, content in [*places, *errors]:
            where = _around(content, text.encode())
            demand(text.encode() not in content, f"the words of a text stand in {place}: {where}")
    return {
        "secrets": len(this.secrets.all()),
        "texts": len(TEXTS),
        "answers and pages": len(this.seen),
        "lines of the log": this.server.log.read_bytes().count(b"\n"),
        "tables": len(tables),
        "found": 0,
    }


def _kept_texts(written: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [(f"table {t}", written[t]) for t in OF_TEXTS - OF_SECRETS if t in written]


def _around(content: bytes, word: bytes) -> str:
    at = content.find(word)
    return repr(content[max(0, at - 160) : at + 160])


CHECK = Check(
    name="secrets",
    claim="No secret and no text is found in the log, a page, a metric, an error or a table where "
    "it does not belong, whatever goes wrong.",
    run=run,
    mutants=(
        Mutant(
            "services/messaging/receive.py",
            '"webhook", provider=provider.name, ',
            '"webhook", query=call.query, provider=provider.name, ',
            "a webhook's address is logged",
        ),
        Mutant(
            "services/push/webhook.py",
            "{urlsplit(settings.url).hostname}",
            "{settings.url}",
            "an error names the whole address that is pushed to",
        ),
    ),
)

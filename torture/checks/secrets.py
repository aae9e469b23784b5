"""G22: leak search: canary secrets and canary texts must not appear in logs, pages or errors.

Every secret of the environment and every text is a canary. The run provokes errors: carriers, push
services and mail server refuse, break off or are not reachable; callers send wrong credentials,
right credentials in the wrong place, and secrets where none belong.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from bench.measured_server import TOKEN
from services.config import keys, variables
from services.core.messages import Attachment, Message
from services.http.client import Http
from services.operations.config_findings import SECTIONS
from services.providers.base import ProviderContext
from tests import payload_files
from tests.fakes.bandwidth import Answer, Trouble
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.database import query
from torture.environment import (
    NUMBER,
    NUMBER_SETTINGS,
    TestEnvironment,
    new_device_token,
    require,
    wait_until,
)

TEXT_IN, TEXT_OUT, NAME = "heliotrope-in", "heliotrope-out", "heliotrope-name"
TEXTS = (TEXT_IN, TEXT_OUT, NAME)
NOWHERE = "http://127.0.0.1:9"  # a closed port

# Prefixes of the variables whose secrets may be any text.
PLAIN = ("ADMIN_", "APP_", "APIDAZE_", "VOIPMS_", "WAVIX_", "RINGOTEL_", "MAIL_")

# Tables that store texts and what users have written.
OF_TEXTS = {"messages", "search_index", "quarantine", "contacts", "conversations", "attachments"}
OF_TEXTS |= {"bulk_sends"}
OF_TEXTS |= {f"search_index_{part}" for part in ("data", "idx", "content", "docsize", "config")}
OF_SECRETS = {"quarantine"}  # raw unreadable webhooks


@dataclass
class Canaries:
    """The canary secrets by name."""

    env: dict[str, str]
    made: dict[str, str]

    def all(self) -> dict[str, str]:
        """The secrets that were configured, and those that were generated."""
        return {**{name: value for name, value in self.env.items() if value}, **self.made}

    def encodings(self) -> Iterator[tuple[str, bytes]]:
        """Each secret in plain, URL-encoded, base64 and hexadecimal form."""
        for name, value in self.all().items():
            for form in {value, quote(value, safe=""), _base64(value), value.encode().hex()}:
                yield name, form.encode()


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode().rstrip("=")[:-1]


def canaries(environment: TestEnvironment) -> dict[str, str]:
    """The settings of all carriers and channels with canary secrets.

    Bandwidth has the settings of its fake.
    """
    env = {
        name: value
        for carrier in payload_files.carriers()
        for name, value in payload_files.settings(carrier).items()
    }
    plain = (name for name in secret_names() if name.startswith(PLAIN))
    env |= {name: f"canary/{name.lower()}{'' if 'TOKEN' in name else '?x+y'}" for name in plain}
    fake_env = {
        **environment.bandwidth.env,
        "BANDWIDTH_WEBHOOK_TOKEN": TOKEN,
    }
    return {
        **{name: value for name, value in env.items() if not name.startswith("BANDWIDTH_")},
        **fake_env,
        **{f"{prefix}BASE_URL": NOWHERE for prefix in _prefixes() - {"BANDWIDTH_"}},
        "VOIPMS_BASE_URL": f"{NOWHERE}/rest.php",
        "TWILIO_AUTH_TOKEN": "c0ffee0123456789abcdef0123456789",
        "RINGOTEL_ORG_ID": "15000000000000000000",
        "RINGOTEL_API_URL": f"{NOWHERE}/api",
        "ACROBITS_PUSH_URL": f"{NOWHERE}/pnm2",
        "PUSH_WEBHOOK_URL": f"{NOWHERE}/hook?key=canary-push-url",
        "MAIL_USERNAME": "texts",
        "APP_DEBUG": "true",
    }


def _prefixes() -> set[str]:
    """The prefixes of the carriers' variables."""
    return {payload_files.provider_class(carrier).prefix() for carrier in payload_files.carriers()}


def secret_names() -> set[str]:
    """The names of all variables that hold secrets."""
    return {
        v.name
        for _, prefix, section in SECTIONS
        for v in variables.variables(section, prefix)
        if v.secret
    }


class Observed:
    """One server, and all answers and pages that it has sent."""

    def __init__(self, environment: TestEnvironment) -> None:
        env = canaries(environment)
        numbers: list[dict[str, Any]] = [{**NUMBER_SETTINGS, "emails": ["desk@example.com"]}]
        numbers += [
            {"number": f"+1202555015{n}", "carrier": carrier, "extensions": ["201"]}
            for n, carrier in enumerate(payload_files.carriers())
        ]
        self.server: Server = environment.server(numbers, name="storage", kind=Server, **env)
        known = {n: v for n, v in self.server.env.items() if n in secret_names()}
        self.secrets = Canaries(known, {})
        self.bandwidth = environment.bandwidth
        self.mailbox = environment.mailbox
        self.mailbox.refusals += [b"535 wrong\r\n", b"451 later\r\n", b"550 no\r\n"] * 3
        self.server.start()
        self.token = new_device_token(self.server)
        self.secrets.made["a device's token"] = self.token
        self.seen: list[tuple[str, bytes]] = []
        self.browser = environment.enter(requests.Session())
        taken = self.browser.post(
            f"{self.server.url}/admin/sign-in",
            data={"password": self.server.env["ADMIN_PASSWORD"]},
            timeout=20,
            allow_redirects=False,
        )
        require(taken.status_code == 303, f"the operator cannot sign in: {taken.status_code}")

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> int:
        """Send one request; the answer is searched later."""
        content = json.dumps(body) if isinstance(body, (dict, list)) else body
        answer = requests.request(
            method, f"{self.server.url}{path}", data=content, timeout=20, allow_redirects=False,
            headers={"Content-Type": "application/json", **headers},
        )  # fmt: skip
        response_text = json.dumps(dict(answer.headers)).encode() + answer.content
        self.seen.append((f"{method} {path.partition('?')[0]} {answer.status_code}", response_text))
        return answer.status_code

    def app(self, method: str, path: str, body: object = None) -> int:
        """One API call of a device; successful answers rightly contain its texts."""
        status = self.ask(method, f"/api/v1{path}", body, Authorization=f"Bearer {self.token}")
        if status < 300:
            self.seen.pop()
        return status


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Provoke all errors, then search everywhere."""
    this = Observed(environment)
    for _ in range(scale.pick(1, 20)):
        _hooks(this)
        _replies(this)
        _wrong_proofs(this)
    _settle(this)
    _pages(this)
    this.server.stop()
    return _search(this)


def _hooks(this: Observed) -> None:
    """Post valid and broken texts of every carrier, and pictures that cannot be downloaded."""
    for n, carrier in enumerate(payload_files.carriers()):
        call = _example(this, carrier, f"+1202555015{n}")
        path = f"/webhook/{carrier}/sms?{call.query}"
        headers = dict(call.headers)
        status = this.ask(call.method, path, call.body, **headers)
        require(status == 200, f"{carrier}'s own call is answered {status}")
        this.ask(call.method, path, call.body[: len(call.body) // 2], **headers)
        this.ask(call.method, path, b"{" + TEXT_IN.encode(), **headers)
        this.ask("PUT", path, call.body, **headers)


def _example(this: Observed, carrier: str, number: str) -> Any:
    cls = payload_files.provider_class(carrier)
    settings, problems = variables.load(cls.Settings, cls.prefix(), this.server.env)
    assert settings is not None, problems
    token = settings.webhook_token or keys.derived_token(
        keys.key(this.server.env["APP_KEY"]), f"webhook:{carrier}"
    )
    this.secrets.made.setdefault(f"the webhook token of {carrier}", token)
    provider = cls(settings, ProviderContext(Http(), token, this.server.url))
    file = Attachment(source_url=f"{NOWHERE}/2010-04-01/Accounts/x/a.jpg", name="a.jpg")
    message = Message("in", number, "+13035550177", text=TEXT_IN, media=(file,))
    return provider.example(message, payload_files.signing_key(carrier))


def _replies(this: Observed) -> None:
    """Send replies by every carrier: refused, broken off, not reachable, and accepted."""
    for trouble in (Answer(401, b"who are you?"), Answer(500, b"oh"), Trouble.CUT, None):
        if trouble is not None:
            this.bandwidth.next("messages", trouble)
        this.app("POST", "/messages", {"to": "+13035550177", "from": NUMBER, "text": TEXT_OUT})
    for n, _ in enumerate(payload_files.carriers()):
        body = {"to": "+13035550177", "from": f"+1202555015{n}", "text": TEXT_OUT}
        this.app("POST", "/messages", body)
    this.app("PUT", "/contacts/+13035550177", {"name": NAME})


def _wrong_proofs(this: Observed) -> None:
    """Send right secrets in wrong places, and wrong secrets in right places."""
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


def _settle(this: Observed) -> None:
    """Wait until every destination was tried once."""
    untried = """SELECT destination FROM jobs WHERE kind <> 'reconcile'
        AND destination NOT IN (SELECT name FROM destinations)
        GROUP BY destination HAVING max(attempts) = 0"""
    wait_until(lambda: not query(this.server.storage, untried), "a first try of everything")


def _pages(this: Observed) -> None:
    """Fetch the operator's pages, health, metrics, and the output of commands."""
    for path in ("/ready", "/metrics", "/up", "/", "/api/v1/openapi.json"):
        this.ask("GET", path)
    for path in ("", "carriers", *(f"carriers/{c}" for c in payload_files.carriers()), "devices",
                 "message-settings"):  # fmt: skip
        page = this.browser.get(f"{this.server.url}/admin/{path}", timeout=60)
        require("Sign out" in page.text, f"/admin/{path} is not shown: {page.status_code}")
        this.seen.append((f"the page /admin/{path}", _without_addresses(page.content)))
    for command in (("status",), ("config", "check")):
        done = this.server.flask(*command)
        this.seen.append((f"flask {command[0]}", (done.stdout + done.stderr).encode()))


def _without_addresses(page: bytes) -> bytes:
    """A page without the webhook URLs, which rightly contain tokens."""
    words = page.split(b"?token=")
    return words[0] + b"".join(word.partition(b"<")[2] for word in words[1:])


def _search(this: Observed) -> Figures:
    places = [*this.seen, ("the log", this.server.log.read_bytes())]
    tables = [r[0] for r in query(this.server.storage, "SELECT name FROM sqlite_master "
                                 "WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]  # fmt: skip
    written = {t: repr(query(this.server.storage, f'SELECT * FROM "{t}"')).encode() for t in tables}
    columns = ("error_reason", "error_code")
    reasons = query(this.server.storage, f"SELECT {', '.join(columns)} FROM messages")
    errors = [("the errors of messages", repr(reasons).encode())]
    places += [(f"table {t}", content) for t, content in written.items() if t not in OF_TEXTS]
    require(len(places[-1][1]) > 0 and len(reasons) > 8, "hardly anything has happened")
    for name, secret in this.secrets.encodings():
        for place, content in [*places, *errors, *_kept_texts(written)]:
            require(secret not in content, f"{name} stands in {place}: {_around(content, secret)}")
    for text in TEXTS:
        for place, content in [*places, *errors]:
            where = _around(content, text.encode())
            require(text.encode() not in content, f"the words of a text stand in {place}: {where}")
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
    claim=(
        "No secret and no text appears in the log, a page, a metric, an error or a table "
        "where it does not belong, whatever fails."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/messaging/receive.py",
            "self._check(provider, call, provider.verify)",
            "self._check(provider, call, provider.verify); print(call.query, flush=True)",
            "the URL of a webhook is logged",
        ),
        Mutant(
            "services/push/webhook.py",
            "{urlsplit(settings.url).hostname}",
            "{settings.url}",
            "an error contains the whole push URL",
        ),
    ),
)

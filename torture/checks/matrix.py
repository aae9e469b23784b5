"""G18: access control matrix: every route, every caller, and ids of the own and another extension.

``TABLE`` declares who may call each route. A route that is missing there fails the check.
"""

import random
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from blueprints.ringotel.webhook import webhook_url
from services.core.messages import Message
from services.http.client import NotSent
from services.operations.doctor.doctor import Doctor
from services.operations.login_throttle import LoginThrottle
from services.store import devices
from tests import payload_files
from tests.admin.conftest import PASSWORD, Operator
from tests.api.conftest import API, Phone, Service
from tests.pictures import gif
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, require
from torture.in_process import full_env, open_service, receive, run_due_jobs

MINE, THEIRS = "+12025550101", "+12025550102"  # of 201, whose canary texts are private; of 202
NUMBERS = (
    {"number": MINE, "carrier": "wavix", "extensions": ["201"]},
    {"number": THEIRS, "carrier": "wavix", "extensions": ["202"]},
)
PEER = "+13035550177"
CANARY = "kingfisher"
OTHER_SITE = "a page of another site in the operator's browser"
AWAY = {"REMOTE_ADDR": "203.0.113.9"}
TRIED = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

EVERYBODY, DEVICE, OPERATOR, SCRIPT, CARRIER, RINGOTEL, ACROBITS, LINK, PROBE = range(9)
SETTINGS, LISTS = "/admin/message-settings", "/admin/messages"
TABLE = {
    **dict.fromkeys(
        (
            *("/", "/home/<path:filename>", "/up", "/ready", f"{API}/pair", f"{API}/openapi.json"),
            *("/admin/static/<path:filename>", "/admin/sign-in", "/phone/<path:filename>"),
            *("/phone/", "/phone/manifest.webmanifest", "/phone/service-worker.js"),
            *("/phone/built/<name>", "/api/docs", "/api/docs/swagger-ui/<name>"),
            "/api/docs/static/<path:filename>",
        ),
        EVERYBODY,
    ),
    **dict.fromkeys(
        (
            *(f"{API}/me", f"{API}/devices", f"{API}/devices/<uuid:device_id>"),
            *(f"{API}/devices/<uuid:device_id>/test", f"{API}/conversations"),
            f"{API}/conversations/<uuid:conversation_id>",
            f"{API}/conversations/<uuid:conversation_id>/messages",
            f"{API}/conversations/<uuid:conversation_id>/read",
            f"{API}/conversations/<uuid:conversation_id>/opt-out",
            f"{API}/conversations/<uuid:conversation_id>/opt-out-suggestion",
            f"{API}/conversations/<uuid:conversation_id>/block",
            f"{API}/conversations/<uuid:conversation_id>/assign",
            f"{API}/conversations/<uuid:conversation_id>/mute",
            f"{API}/conversations/<uuid:conversation_id>/pin",
            f"{API}/conversations/<uuid:conversation_id>/scheduled",
            *(f"{API}/scheduled", f"{API}/messages/<uuid:message_id>/send"),
            *(f"{API}/bulk-sends", f"{API}/bulk-sends/<uuid:bulk_send_id>"),
            f"{API}/bulk-sends/<uuid:bulk_send_id>/cancel",
            *(f"{API}/messages", f"{API}/messages/<uuid:message_id>", f"{API}/search"),
            *(f"{API}/contacts", f"{API}/contacts/<number>", f"{API}/media"),
            *(f"{API}/media/<uuid:media_id>", f"{API}/sync", f"{API}/events"),
            *(f"{API}/contacts/export", f"{API}/contacts/import", f"{API}/extensions"),
            f"{API}/media/<uuid:media_id>/thumbnail",
            f"{API}/templates",
            f"{API}/events/ticket",
        ),
        DEVICE,
    ),
    **dict.fromkeys(
        (
            *("/admin/", "/admin/sign-out", "/admin/<path:_anything>"),
            *("/admin/doctor", "/admin/reload", "/admin/carriers", "/admin/carriers/<name>"),
            *("/admin/carriers/<name>/check", "/admin/devices", "/admin/devices/pair"),
            *("/admin/devices/<device_id>/test", "/admin/devices/<device_id>/revoke"),
            *(
                "/admin/activity",
                "/admin/opt-outs",
                "/admin/contacts",
                "/admin/contacts.<any(csv, vcf):form>",
                "/admin/contacts/import",
                "/admin/contacts/import/apply",
                "/admin/people",
                "/admin/people/<extension>",
                "/admin/rules",
                "/admin/templates",
                "/admin/rules/holidays",
                f"{LISTS}/<uuid:message_id>/assign",
                f"{LISTS}/<uuid:message_id>/cancel",
                SETTINGS,
                f"{SETTINGS}.csv",
                f"{SETTINGS}/<number>",
            ),
            *(f"{SETTINGS}/<number>/enabled", f"{SETTINGS}/<number>/remove", f"{SETTINGS}/new"),
            *(f"{SETTINGS}/bulk", f"{SETTINGS}/import", f"{SETTINGS}/import/apply", LISTS),
            *(f"{LISTS}/<uuid:message_id>", f"{LISTS}/<uuid:message_id>/retry"),
            *(f"{LISTS}/<uuid:message_id>/settle", f"{LISTS}/export.<any(csv, json):form>"),
            *(f"{LISTS}/given-up", f"{LISTS}/unrouted", f"{LISTS}/quarantine"),
            f"{LISTS}/quarantine/<int:call_id>",
            f"{LISTS}/quarantine/<int:call_id>/drop",
            f"{LISTS}/quarantine/<int:call_id>/replay",
        ),
        OPERATOR,
    ),
    **dict.fromkeys(
        (
            "/metrics",
            f"{API}/message-settings",
            f"{API}/message-settings/<number>",
            f"{API}/message-settings/rules",
            f"{API}/message-settings/templates",
            f"{API}/message-settings/extensions",
            f"{API}/message-settings/extensions/<extension>",
        ),
        SCRIPT,  # by the password in each call, never by a browser's cookie
    ),
    **dict.fromkeys(
        (f"/webhook/{name}/sms" for name in (*payload_files.carriers(), "apidaze")),
        CARRIER,
    ),
    **dict.fromkeys(
        (
            *("/sandbox", "/sandbox/session", "/sandbox/phone", "/sandbox/static/<path:filename>"),
            "/webhook/sandbox/sms",
        ),
        CARRIER,  # without a configured carrier only
    ),
    **dict.fromkeys(("/probe", "/probe/body", "/probe/stream"), PROBE),  # the doctor's own calls
    "/webhook/ringotel/<secret>": RINGOTEL,
    **dict.fromkeys((f"/acrobits/{call}" for call in ("send", "fetch", "removed")), ACROBITS),
    "/acrobits/push-token": ACROBITS,
    "/media/<uuid:file_id>": LINK,
    "/media/<uuid:file_id>/thumbnail.jpg": LINK,
    "/media/<uuid:file_id>.<extension>": LINK,
}


@dataclass(frozen=True)
class Caller:
    """A caller: the credentials that they send, and their kinds in the table."""

    name: str
    client: Any
    headers: dict[str, str]
    form: dict[str, str]
    kinds: frozenset[int] = frozenset((EVERYBODY,))
    sees_all: bool = False  # the operator, and the extension that owns the canary texts

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """One call with the credentials of this caller."""
        headers = {**self.headers, **options.pop("headers", {})}
        if self.form and not options.get("json"):
            options["data"] = {**self.form, **options.get("data", {})}
        answer: TestResponse = self.client.open(
            path, method=method, headers=headers, environ_base=AWAY, **options
        )
        return answer


class Scenario:
    """An application in which 201 has data of every kind with canary texts, and 202 has less."""

    def __init__(self, environment: TestEnvironment, conversations: int) -> None:
        self.service = open_service(environment, *NUMBERS, **full_env(), ALLOW_DELETE="true")
        self.service.app.config["PROPAGATE_EXCEPTIONS"] = False
        _block_outgoing(self.service)
        self.ann, self.bob = self.service.pair("201", "Ann"), self.service.pair("202", "Bob")
        self.gone = self.service.pair("201", "Gone")
        self.service.gateway.store.write(lambda tx: devices.revoke(tx, self.gone.id))
        for number, peer in ((MINE, PEER), (THEIRS, "+13035550199")):
            texts = conversations if number == MINE else 1
            for n in range(texts):
                who = f"+1303555{n:04}" if n else peer
                text = f"{CANARY} {n}" if number == MINE else "nothing of interest"
                message = Message("in", number, who, text=text, provider_id=f"{number}-{n}")
                assert receive(self.service, "wavix", message) == 200
        self.file = self._upload("a.gif")
        sent = self.ann.send(to=PEER, text=CANARY, media_ids=[self.file])
        run_due_jobs(self.service.gateway)
        self.upload = self._upload("b.gif")
        self.link = self.ann.read(f"/messages/{sent['id']}")["media"][0]["url"]
        held = self._listed()
        self.mine = {
            "conversation_id": held,
            "message_id": [sent["id"], *self._messages(held)],
            "media_id": [self.file, self.upload],
            "file_id": [self.file, self.upload],
            "device_id": [self.ann.id],
        }

    def _upload(self, name: str) -> str:
        data = {"file": (BytesIO(gif(CANARY.encode())), name)}
        content: Any = self.ann.post("/media", data=data).json
        return str(content["id"])

    def _listed(self) -> list[str]:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = self.ann.read(
                "/conversations", limit=100, **({"cursor": after} if after else {})
            )
            found += [item["id"] for item in page["items"]]
            after = page["next_cursor"]
        return found

    def _messages(self, conversations: list[str]) -> list[str]:
        pages = (self.ann.read(f"/conversations/{c}/messages") for c in conversations)
        return [message["id"] for page in pages for message in page["items"]]

    def callers(self) -> list[Caller]:
        """All callers."""
        app = self.service.app

        def caller(name: str, *kinds: int, device: Phone | None = None, **more: Any) -> Caller:
            headers = {"Authorization": f"Bearer {device.token}"} if device else {}
            kind = frozenset((EVERYBODY, *kinds))
            return Caller(name, app.test_client(), headers, more.pop("form", {}), kind, **more)

        def account(device: Phone, extension: str) -> dict[str, str]:
            return {"username": extension, "password": device.token}

        wrong = "Basic " + "dGV4dGJyaWRnZTp3cm9uZw=="
        script = "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()
        operator = Operator(app)
        operator.sign_in()
        nobody = caller("nobody")
        return [
            nobody,
            Caller("a wrong token", app.test_client(), {"Authorization": "Bearer x"}, {}),
            Caller("a carrier with another's password", app.test_client(),
                   {"Authorization": wrong, "X-Twilio-Signature": "x"}, {}),
            caller("a revoked device", device=self.gone),
            caller("a revoked Acrobits app", form=account(self.gone, "201")),
            caller("the Acrobits app of 202 as 201", form=account(self.bob, "201")),
            caller("the device of 202", DEVICE, device=self.bob),
            caller("the Acrobits app of 202", ACROBITS, form=account(self.bob, "202")),
            caller("the device of 201", DEVICE, device=self.ann, sees_all=True),
            Caller("the operator", operator.client, {}, {"csrf": operator.key()},
                   frozenset((EVERYBODY, OPERATOR)), sees_all=True),
            Caller("the operator's script", app.test_client(), {"Authorization": script}, {},
                   frozenset((EVERYBODY, SCRIPT)), sees_all=True),
            Caller(OTHER_SITE, operator.client,
                   {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
                   {"csrf": "x"}),
        ]  # fmt: skip


def _block_outgoing(service: Service) -> None:
    """Let every outgoing request fail."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise NotSent("Nothing leaves this check.")

    service.gateway.http.request = refuse  # type: ignore[method-assign]


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Call every route as every caller; then call the routes of 201's data as 202."""
    # The login throttle would answer most calls.
    environment.enter(patch.object(LoginThrottle, "spend"))
    environment.enter(patch.object(Doctor, "run", return_value=()))  # it would call out
    scenario = Scenario(environment, scale.pick(12, 1_000))
    rules = _rules(scenario.service.app)
    no_carrier = _rules(open_service(environment, name="no_carrier").app)
    calls = sum(_at(scenario, caller, rule) for caller in scenario.callers() for rule in rules)
    foreign = sum(_request_foreign(scenario, path) for path in _foreign(scenario, rules))
    return {
        "routes": len({rule.rule for rule in (*rules, *no_carrier)}),
        "callers": len(scenario.callers()),
        "calls": calls,
        "calls for another extension's": foreign + _bodies(scenario),
        "lists without another extension's": _lists(scenario),
        "leaks": 0,
        "routes that nobody declared": 0,
    }


def _rules(app: Flask) -> list[Rule]:
    rules = list(app.url_map.iter_rules())
    strange = sorted({rule.rule for rule in rules} - TABLE.keys())
    require(not strange, f"routes that torture/checks/matrix.py does not declare: {strange}")
    return rules


def _at(scenario: Scenario, caller: Caller, rule: Rule) -> int:
    """Call one route with every method; a caller without access must be refused."""
    admitted = TABLE[rule.rule] in caller.kinds
    calls = 0
    for method in TRIED:
        if not _is_tried(caller, method, admitted=admitted):
            continue
        if admitted and rule.rule == f"{API}/events":
            continue  # the stream stays open; see _lists
        for path in _filled(scenario, rule):
            answer = caller.call(method, path)
            seen = _seen(answer)
            what = f"{caller.name}: {method} {path} → {answer.status_code} {seen[:300]}"
            calls += 1
            require(answer.status_code < 500 or rule.rule == "/ready", what)  # no worker runs here
            require(caller.sees_all or CANARY not in seen, what)
            if not admitted and method != "OPTIONS":
                require(_is_refusal(rule, answer), what)
    return calls


def _is_tried(caller: Caller, method: str, *, admitted: bool) -> bool:
    """Whether a call is made: callers with access only read, and another site may link here."""
    if caller.name == OTHER_SITE:
        return not admitted and method not in ("GET", "HEAD", "OPTIONS")
    return not admitted or method in ("GET", "HEAD")


def _is_refusal(rule: Rule, answer: TestResponse) -> bool:
    if answer.status_code in (400, 401, 403, 404, 405, 415, 429):
        return True
    at_sign_in = urlsplit(answer.headers.get("Location", "")).path == "/admin/sign-in"
    return answer.status_code == 303 and at_sign_in and rule.rule.startswith("/admin")


def _seen(answer: TestResponse) -> str:
    """The content of an answer; empty for a stream."""
    if answer.mimetype == "text/event-stream":
        answer.close()
        return ""
    seen = answer.get_data(as_text=True)
    answer.close()
    return seen


def _filled(scenario: Scenario, rule: Rule) -> Iterator[str]:
    """The paths of a route with ids of 201, unknown ids, and invalid ones."""
    names = re.findall(r"<(?:\w+:)?(\w+)>", rule.rule)
    if not names:
        yield rule.rule
        return
    known = {"name": "wavix", "number": MINE, "secret": "x" * 32, "call_id": "1", "form": "csv"}
    for identifier in _ids(scenario, names[0], known):
        path = re.sub(r"<(?:\w+:)?extension>", "gif", rule.rule)
        yield re.sub("<[^>]+>", identifier, path)


def _ids(scenario: Scenario, name: str, known: dict[str, str]) -> list[str]:
    if name in known:
        return [known[name]]
    return [*scenario.mine.get(name, ["x"])[:2], str(uuid4())]


# Data of 201, requested by 202: must look as if it did not exist


def _foreign(scenario: Scenario, rules: list[Rule]) -> Iterator[tuple[str, str]]:
    for rule in rules:
        names = [name for name in scenario.mine if f":{name}>" in rule.rule]
        if TABLE[rule.rule] != DEVICE or not names:
            continue
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        for identifier in scenario.mine[names[0]]:
            for method in methods:
                yield method, re.sub("<[^>]+>", identifier, rule.rule)


def _request_foreign(scenario: Scenario, call: tuple[str, str]) -> int:
    method, path = call
    is_message = path.startswith(f"{API}/messages/")
    bodies: dict[str, dict[str, object]] = {
        "read": {"up_to_seq": 1},
        "assign": {"done": True},
        "opt-out": {},
        "opt-out-suggestion": {},
        "block": {},
    }
    any_body: dict[str, object] = (
        {"text": "x"} if method == "PATCH" and is_message else {"name": "x"}
    )
    body = {"json": bodies.get(path.rpartition("/")[2], any_body)}
    options = body if method in ("POST", "PUT", "PATCH") and not path.endswith("/test") else {}
    answer = scenario.bob.call(method, path.removeprefix(API), **options)
    absent = scenario.bob.call(method, _elsewhere(path).removeprefix(API), **options)
    require(answer.status_code == 404, f"202: {method} {path} → {answer.status_code} {answer.text}")
    require(answer.data == absent.data, f"{method} {path} can be told from one that is not there")
    return 1


def _elsewhere(path: str) -> str:
    return re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", str(uuid4()), path)


def _bodies(scenario: Scenario) -> int:
    """Requests of 202 whose body has ids of 201."""
    for conversation in scenario.mine["conversation_id"][:50]:
        answer = scenario.bob.post("/messages", {"conversation_id": conversation, "text": "x"})
        require(answer.status_code == 404, f"202 writes into a conversation of 201: {answer.text}")
    for file in scenario.mine["media_id"]:
        answer = scenario.bob.post("/messages", {"to": PEER, "media_ids": [file]})
        require(answer.status_code == 422, f"202 sends a file of 201: {answer.text}")
    sender = scenario.bob.post("/messages", {"to": PEER, "text": "x", "from": MINE})
    require(sender.status_code == 403, f"202 sends from a number of 201: {sender.text}")
    account = {
        "username": "202",
        "password": scenario.bob.token,
        "last_id": "0",
        "last_sent_id": "0",
    }
    fetched = scenario.service.client.post("/acrobits/fetch", data=account)
    require(CANARY not in fetched.text, f"Acrobits' fetch of 202: {fetched.text}")
    chance = random.Random(18)
    address = urlsplit(scenario.link)
    links = [f"{address.path.replace(scenario.file, scenario.upload)}?{address.query}"]
    for _ in range(200):  # another file, a later expiry, another signature
        at = chance.randrange(len(address.query))
        query = address.query[:at] + chance.choice("0aZ&=-") + address.query[at + 1 :]
        links += [f"{address.path}?{query}"] if query != address.query else []
    for link in links:
        answer = scenario.service.client.get(link)
        require(answer.status_code == 403, f"{link} is served")
        answer.close()
    secret = webhook_url(scenario.service.gateway.environment).rpartition("/")[2]
    right_but_no_key = scenario.service.client.post(
        f"/webhook/ringotel/{secret}", json={"params": {}}
    )
    require(
        right_but_no_key.status_code == 401, "Ringotel's webhook is accepted without its API key"
    )
    return len(scenario.mine["conversation_id"][:50] + scenario.mine["media_id"] + links) + 3


def _lists(scenario: Scenario) -> int:
    """Lists, search and stream of 202 must not contain data of 201."""
    requests = [
        ("/me", {}), ("/devices", {}), ("/conversations", {}), ("/contacts", {}),
        ("/extensions", {}),
        ("/sync", {"since": "0"}), ("/search", {"q": CANARY}), ("/search", {"q": PEER}),
    ]  # fmt: skip
    for path, query in requests:
        content = scenario.bob.read(path, **query)
        words = {"q": "", **content} if "q" in content else content
        require(CANARY not in str(words), f"202 is told of 201 in {path}: {content}")
        require(scenario.ann.id not in str(content), f"202 is told of a device of 201 in {path}")
    require(CANARY in str(scenario.ann.read("/search", q=CANARY)), "there was nothing to be found")
    events = scenario.bob.get("/events", query_string={"since": "0"}, buffered=False)
    first = [str(chunk) for chunk, _ in zip(events.response, range(2), strict=False)]
    events.close()
    require(CANARY not in "".join(first), "202 hears of 201 in the live stream")
    return len(requests) + 1


CHECK = Check(
    name="matrix",
    claim=(
        "Every route declares its callers and refuses all others; data of another extension "
        "looks as if it did not exist."
    ),
    run=run,
    mutants=(
        Mutant(
            "blueprints/api/devices.py",
            "if device is None or device.extension != caller().extension:",
            "if device is None:",
            "a device of another extension can be changed",
        ),
        Mutant(
            "blueprints/health.py",
            "if not access.callers.caller().is_this_machine and not access.is_operator():",
            "if False:",
            "the metrics need no authentication",
        ),
        Mutant(
            "blueprints/admin/access.py",
            "        if current() is None:\n            return _to_sign_in()\n",
            "",
            "the operator's pages need no sign-in",
        ),
        Mutant(
            "blueprints/sandbox/front_page.py",
            '    @routes.get("/")\n',
            '    routes.add_url_rule("/later", "later", lambda: "later")\n\n    @routes.get("/")\n',
            "a route is missing in the table",
        ),
    ),
)

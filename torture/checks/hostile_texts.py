"""Injection: markup, header, log and SMTP injection by texts, names and addresses.

The hostile texts arrive through every endpoint. The check then searches the admin pages, mails,
mail headers and the log. The scripts of the phone app and of the sandbox must not contain functions
that write markup.
"""

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit

from services.config.sections import MailSettings
from services.config.variables import load
from services.core.messages import Attachment, Message
from services.mail.details import MailDetails
from services.mail.mailer import Mailer
from tests.admin.conftest import Operator
from tests.api.conftest import Service
from tests.server import ROOT
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, require
from torture.in_process import full_env, open_service, receive, run_due_jobs

NUMBER = "+12025550143"
MARK = "zzxss"
MARKUP = (
    f"<script>{MARK}()</script>", f"<img src=x onerror={MARK}()>", f'"><svg onload={MARK}()>',
    f"' onmouseover='{MARK}()", f"javascript:{MARK}()", f"</textarea><script>{MARK}()</script>",
    f"<a href=javascript:{MARK}()>x</a>", f"<!--><img src=x onerror={MARK}()>-->", "{{7*7}}",
    f"<iframe srcdoc='<script>{MARK}()</script>'>", f"<style>@import'//{MARK}'</style>", "${7*7}",
    f"</title><script>{MARK}()</script>", f"<base href=//{MARK}.example>", "{% include 'x' %}",
    f"<math><mtext></p><img src=x onerror={MARK}()>", f"<meta http-equiv=refresh content=0;{MARK}>",
    f"\u202e<script>{MARK}()</script>", f"<scr\x00ipt>{MARK}()</scr\x00ipt>", "&#60;script&#62;",
    f"<form action=//{MARK}><button>x", f"]]><script>{MARK}()</script>", f"<x {MARK}=1 autofocus>",
)  # fmt: skip
LINES = (
    "\r\nBcc: evil@example.com\r\n", "\nSubject: other\n\nbody", "\r\n.\r\nMAIL FROM:<evil@e.com>",
    "\n.\n", "\u2028Bcc: evil@example.com", "\x00\nBcc: e@e.com", "\x85Bcc: e@e.com", "\r.\r",
    '\n{"event": "forged", "level": "info"}\n', '"}\n{"event":"forged', "\x1b[2J\x1b]0;x\x07",
    "\x0bBcc: e@e.com", "=?utf-8?q?=0ABcc=3A_e=40e.com?=", "\u202e\u2066Bcc",
)  # fmt: skip
FOREIGN_TARGETS = (
    "//evil.example", "/\\evil.example", "https://evil.example", "/admin/../..//evil.example",
    "/admin/\r\nLocation: https://evil.example", "/admin\t//evil.example", "javascript:alert(1)",
    "/admin/\\..\\..", "https:evil.example", "/admin@evil.example", "//admin/", "\\\\evil.example",
)  # fmt: skip

SINKS = re.compile(
    r"(inner|outer)HTML\s*\+?=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function"
)


class Page(HTMLParser):
    """HTML parser that collects injected elements, event handlers and URLs of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Event handlers, script URLs, and elements that the pages never have."""
        self._inside = tag
        for name, value in attrs:
            led = (value or "").strip().lower()
            runs = name in ("href", "src", "action", "formaction", "srcdoc") and (
                led.startswith(("javascript:", "data:text")) or MARK in led.partition("?")[0]
            )
            if name.startswith("on") or runs or MARK in name:
                self.bad.append(f"<{tag} {name}={value!r}>")
        if tag in ("iframe", "object", "embed", "base", "math"):
            self.bad.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        """The following text is not inside a script."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """A script or style that contains a hostile text."""
        if self._inside in ("script", "style") and MARK in data:
            self.bad.append(f"<{self._inside}>{data[:80]}")


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Send all hostile texts, then check everything that shows them."""
    log = io.StringIO()
    with redirect_stderr(log):
        numbers = [{"number": NUMBER, "carrier": "wavix", "extensions": ["201"]}]
        env = {**full_env(), "LOG_LEVEL": "debug"}
        service = open_service(environment, *numbers, **env)
        texts = (*MARKUP, *LINES)
        _send_all(service, texts)
        pages = _pages(service, scale.pick(80, 400))
        forms = _forms(service)
        redirects = _redirects(service)
    lines = _lines(log.getvalue())
    return {
        "hostile texts": len(texts),
        "pages": pages,
        "scripts in them": 0,
        "scripts of pages without a way to write markup": _scripts(),
        "forms without their key": forms,
        "ways to another site": redirects,
        "mails": _mails(environment, texts),
        "lines of the log": lines,
        "injected headers, mails and lines": 0,
    }


def _send_all(service: Service, texts: tuple[str, ...]) -> None:
    ann = service.pair("201")
    for n, text in enumerate(texts):
        message = Message("in", NUMBER, "+13035550177", text=text, provider_id=f"m{n}{text}"[:200])
        require(receive(service, "wavix", message) == 200, f"not taken: {text!r}")
        alone = Message("in", NUMBER, text[:11] or "x", text=text, provider_id=f"n{n}")
        require(receive(service, "wavix", alone) == 200, f"not taken from {text!r}")
        service.pair("201", text.replace("\x00", "")[:60])
        ann.call("PUT", f"/contacts/{quote('+13035550177')}", json={"name": text[:80]})
        ann.post("/messages", {"to": f"+1303555{n:04}", "text": text, "client_id": f"c{n}"})
        ann.post("/messages", {"to": text, "text": text})
        service.client.get(f"/{quote(text)}", headers={"User-Agent": MARK})
        service.client.post(f"/webhook/wavix/sms?token={quote(text)}", data=text.encode())
        broken = (
            f"/webhook/wavix/sms?{urlsplit(service.gateway.providers['wavix'].webhook_url).query}"
        )
        service.client.post(broken, data=text.encode())
    run_due_jobs(service.gateway)


def _signed_in_operator(service: Service) -> Operator:
    operator = Operator(service.app)
    require(operator.sign_in().status_code == 303, "the operator cannot sign in")
    return operator


def _pages(service: Service, most: int) -> int:
    """Check all admin pages that can be reached by links."""
    client = _signed_in_operator(service).client
    left, seen = ["/admin/"], set[str]()
    while left:
        path = left.pop()
        if path in seen or len(seen) >= most:
            continue
        seen.add(path)
        answer = client.get(path)
        require(answer.status_code < 500, f"{path}: {answer.status_code}")
        if answer.mimetype != "text/html":
            require(answer.headers["X-Content-Type-Options"] == "nosniff", f"{path} may be sniffed")
            answer.close()
            continue
        page = Page(answer.text)
        require(not page.bad, f"{path} has {page.bad[:3]}")
        policy = answer.headers["Content-Security-Policy"]
        require("default-src 'none'" in policy and "unsafe" not in policy, f"{path}: {policy}")
        require("49" not in re.findall(r">\s*(49)\s*<", answer.text), f"{path} has worked out 7*7")
        left += re.findall(r'href="(/admin/[^"#]*)"', answer.text)
    require(len(seen) > 20, f"only {len(seen)} pages were found")
    return len(seen)


def _forms(service: Service) -> int:
    """A POST with the session cookie but without the form key must be refused."""
    client, tried = _signed_in_operator(service).client, 0
    for rule in service.app.url_map.iter_rules():
        if not rule.rule.startswith("/admin") or "POST" not in (rule.methods or set()):
            continue
        path = re.sub(r"<[^>]*int:[^>]*>", "1", rule.rule)
        path = re.sub(r"<[^>]*uuid:[^>]*>", "01a1f912-29fd-798d-b9d5-d4199fe17a55", path)
        for given in ({}, {"csrf": ""}, {"csrf": "x"}):
            if rule.endpoint == "admin.take_password":
                continue  # needs no session; a cross-site POST is refused, see matrix
            answer = client.post(re.sub("<[^>]+>", "x", path), data=given)
            require(answer.status_code == 403, f"POST {rule.rule} {given}: {answer.status_code}")
            tried += 1
    require(tried > 10, "there were hardly any forms")
    return tried


def _redirects(service: Service) -> int:
    """The redirect after the sign-in must never lead to another site."""
    for wanted in FOREIGN_TARGETS:
        answer = Operator(service.app).client.post(
            f"/admin/sign-in?then={quote(wanted, safe='')}", data={"password": "a good password"}
        )
        led = urlsplit(answer.headers.get("Location", ""))
        at_home = not led.netloc and led.path.startswith("/admin") and "\\" not in led.path
        require(at_home, f"then={wanted!r} leads to {answer.headers.get('Location')!r}")
    return len(FOREIGN_TARGETS)


def _scripts() -> int:
    """Scripts must not contain functions that write markup; returns their number."""
    found = sorted(Path(ROOT / "blueprints").rglob("static/*.js"))
    for path in found:
        sink = SINKS.search(path.read_text())
        require(sink is None, f"{path.name} has {sink and sink[0]}")
    require(len(found) > 3, "there are no scripts")
    return len(found)


def _mails(environment: TestEnvironment, texts: tuple[str, ...]) -> int:
    """Each hostile text as text, sender and file name of a mail: one mail, to one address."""
    settings, problems = load(MailSettings, "MAIL_", environment.mailbox.env)
    assert settings is not None, problems
    mailer = Mailer(settings, "Text\r\nBcc: e@e.com", "sms.example.com")
    kept = environment.folder / "a.gif"
    kept.write_bytes(b"GIF89a")
    for text in texts:
        lost = Attachment(name=text, content_type=text, state="failed", reason=text)
        files = (lost, Attachment(name=text, content_type="image/gif", state="kept", path=kept))
        mailer.send(
            Message("in", NUMBER, text, text=text, media=files), "desk@example.com", MailDetails()
        )
    mails = environment.mailbox.wait_for(len(texts))
    require(len(mails) == len(texts), f"{len(mails)} mails came of {len(texts)}")
    for mail, text in zip(mails, texts, strict=True):
        names = sorted(name.lower() for name in mail.keys())  # noqa: SIM118 - a mail's own
        require(
            set(names) == {*HEADERS} - {"content-transfer-encoding"},
            f"{text!r} makes the headers {names}",
        )
        require(mail["To"] == "desk@example.com", f"{text!r} is sent to {mail['To']}")
        parts = [part.get_content_type() for part in mail.walk()]
        require(parts == PARTS, f"{text!r} makes {parts}")
        heads = {name.lower() for part in mail.walk() for name in part.keys()}  # noqa: SIM118
        require(
            heads <= {*HEADERS, "content-disposition", "content-id"},
            f"{text!r} makes the headers {heads}",
        )
    return len(mails)


PARTS = ["multipart/related", "multipart/alternative", "text/plain", "text/html", "image/gif"]
HEADERS = (
    *("subject", "from", "to", "date", "message-id", "auto-submitted", "mime-version"),
    *("in-reply-to", "references"),
    *("content-type", "content-transfer-encoding"),
)


def _lines(log: str) -> int:
    """Every line of the log must be valid JSON and not forged."""
    written = [line for line in re.split(r"\r\n|\n|\r", log) if line]
    for line in _not_json(written):
        require(False, f"the log has the line {line[:200]!r}")
    require(not any(json.loads(line).get("event") == "forged" for line in written), "a forged line")
    require("\x1b" not in log, "the log has a terminal's control sequence")
    require(len(written) > 20, "hardly anything was logged")
    return len(written)


def _not_json(lines: list[str]) -> Iterator[str]:
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            yield line


CHECK = Check(
    name="hostile_texts",
    claim=(
        "Hostile texts inject no script into a page, no mail header, no other mail and no "
        "log line, and a cross-site form changes nothing."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/mail/headers.py",
            'kept = kept.replace("=?", "= ?")',
            "",
            "an encoded word in a file name is decoded",
        ),
        Mutant(
            "blueprints/admin/access.py",
            "            self._require_form_key()\n",
            "            pass\n",
            "forms need no form key",
        ),
        Mutant(
            "blueprints/admin/access.py",
            'fits = wanted.startswith(start) and "\\\\" not in wanted and wanted.isprintable()',
            "fits = True",
            "a sign-in redirects to any site",
        ),
        Mutant(
            "blueprints/admin/page.py",
            "        signed_in = current() is not None\n",
            "        signed_in = current() is not None\n"
            "        from flask import current_app\n\n"
            "        current_app.jinja_env.autoescape = False\n",
            "pages do not escape texts",
        ),
    ),
)

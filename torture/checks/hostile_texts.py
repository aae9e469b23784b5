"""Texts, names and addresses that are written to be taken for something else.

They come in by every door, and are looked for where they are shown: as markup in the operator's
pages and in mails, as headers, as another mail, as another line of the log. What the pages of the
phone app and of the sandbox show is put there as text by their scripts, which must know no other
way.
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
from services.mail.mailer import Mailer
from tests.admin.conftest import Operator
from tests.api.conftest import House
from tests.server import ROOT
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Ground, demand
from torture.house import everything, open_house, receive, work

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
AWAY = (
    "//evil.example", "/\\evil.example", "https://evil.example", "/admin/../..//evil.example",
    "/admin/\r\nLocation: https://evil.example", "/admin\t//evil.example", "javascript:alert(1)",
    "/admin/\\..\\..", "https:evil.example", "/admin@evil.example", "//admin/", "\\\\evil.example",
)  # fmt: skip
OURS = {"script", "link", "meta"}  # what only the frame of a page may hold, from here
SINKS = re.compile(
    r"(inner|outer)HTML\s*\+?=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function"
)


class Page(HTMLParser):
    """Reads a page as a browser would, and notes what should not be there."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Handlers, addresses that run, and elements that no page of ours has."""
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
        """Texts that follow stand in no script."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """A script or a style that says what came from outside."""
        if self._inside in ("script", "style") and MARK in data:
            self.bad.append(f"<{self._inside}>{data[:80]}")


def run(ground: Ground, scale: Scale) -> Figures:
    """Bring everything in, then look everywhere."""
    log = io.StringIO()
    with redirect_stderr(log):
        numbers = [{"number": NUMBER, "carrier": "wavix", "extensions": ["201"]}]
        env = {**everything(), "LOG_LEVEL": "debug"}
        house = open_house(ground, *numbers, **env)
        said = (*MARKUP, *LINES)
        _come_in(house, said)
        pages = _pages(house, scale.pick(80, 400))
        forms = _forms(house)
        onward = _onward(house)
    lines = _lines(log.getvalue())
    return {
        "hostile texts": len(said),
        "pages": pages,
        "scripts in them": 0,
        "scripts of pages without a way to write markup": _scripts(),
        "forms without their key": forms,
        "ways to another site": onward,
        "mails": _mails(ground, said),
        "lines of the log": lines,
        "injected headers, mails and lines": 0,
    }


def _come_in(house: House, said: tuple[str, ...]) -> None:
    ann = house.pair("201")
    for n, text in enumerate(said):
        message = Message("in", NUMBER, "+13035550177", text=text, provider_id=f"m{n}{text}"[:200])
        demand(receive(house, "wavix", message) == 200, f"not taken: {text!r}")
        alone = Message("in", NUMBER, text[:11] or "x", text=text, provider_id=f"n{n}")
        demand(receive(house, "wavix", alone) == 200, f"not taken from {text!r}")
        house.pair("201", text.replace("\x00", "")[:60])
        ann.call("PUT", f"/contacts/{quote('+13035550177')}", json={"name": text[:80]})
        ann.post("/messages", {"to": f"+1303555{n:04}", "text": text, "client_id": f"c{n}"})
        ann.post("/messages", {"to": text, "text": text})
        house.client.get(f"/{quote(text)}", headers={"User-Agent": MARK})
        house.client.post(f"/webhook/wavix/sms?token={quote(text)}", data=text.encode())
        broken = (
            f"/webhook/wavix/sms?{urlsplit(house.gateway.providers['wavix'].webhook_url).query}"
        )
        house.client.post(broken, data=text.encode())
    work(house.gateway)


def _operators(house: House) -> Operator:
    operator = Operator(house.app)
    demand(operator.sign_in().status_code == 303, "the operator cannot sign in")
    return operator


def _pages(house: House, most: int) -> int:
    """The pages that the operator can get to, by the links of the others."""
    client = _operators(house).client
    left, seen = ["/admin/"], set[str]()
    while left:
        path = left.pop()
        if path in seen or len(seen) >= most:
            continue
        seen.add(path)
        answer = client.get(path)
        demand(answer.status_code < 500, f"{path}: {answer.status_code}")
        if answer.mimetype != "text/html":
            demand(answer.headers["X-Content-Type-Options"] == "nosniff", f"{path} may be sniffed")
            answer.close()
            continue
        page = Page(answer.text)
        demand(not page.bad, f"{path} has {page.bad[:3]}")
        policy = answer.headers["Content-Security-Policy"]
        demand("default-src 'none'" in policy and "unsafe" not in policy, f"{path}: {policy}")
        demand("49" not in re.findall(r">\s*(49)\s*<", answer.text), f"{path} has worked out 7*7")
        left += re.findall(r'href="(/admin/[^"#]*)"', answer.text)
    demand(len(seen) > 20, f"only {len(seen)} pages were found")
    return len(seen)


def _forms(house: House) -> int:
    """With the cookie alone nothing can be changed."""
    client, tried = _operators(house).client, 0
    for rule in house.app.url_map.iter_rules():
        if not rule.rule.startswith("/admin") or "POST" not in (rule.methods or set()):
            continue
        path = re.sub(r"<[^>]*int:[^>]*>", "1", rule.rule)
        path = re.sub(r"<[^>]*uuid:[^>]*>", "01a1f912-29fd-798d-b9d5-d4199fe17a55", path)
        for given in ({}, {"csrf": ""}, {"csrf": "x"}):
            if rule.endpoint == "admin.take_password":
                continue  # has no sign-in yet; another site's is refused, see matrix
            answer = client.post(re.sub("<[^>]+>", "x", path), data=given)
            demand(answer.status_code == 403, f"POST {rule.rule} {given}: {answer.status_code}")
            tried += 1
    demand(tried > 10, "there were hardly any forms")
    return tried


def _onward(house: House) -> int:
    """After signing in, never to another site."""
    for wanted in AWAY:
        answer = Operator(house.app).client.post(
            f"/admin/sign-in?then={quote(wanted, safe='')}", data={"password": "a good password"}
        )
        led = urlsplit(answer.headers.get("Location", ""))
        at_home = not led.netloc and led.path.startswith("/admin") and "\\" not in led.path
        demand(at_home, f"then={wanted!r} leads to {answer.headers.get('Location')!r}")
    return len(AWAY)


def _scripts() -> int:
    """The scripts of our pages know no way to write markup; returns how many there are."""
    found = sorted(Path(ROOT / "blueprints").rglob("static/*.js"))
    for path in found:
        sink = SINKS.search(path.read_text())
        demand(sink is None, f"{path.name} has {sink and sink[0]}")
    demand(len(found) > 3, "there are no scripts")
    return len(found)


def _mails(ground: Ground, said: tuple[str, ...]) -> int:
    """Each text, sender and file name in a mail of its own: one mail, to one address."""
    settings, problems = load(MailSettings, "MAIL_", ground.mailbox.env)
    assert settings is not None, problems
    mailer = Mailer(settings, "Text\r\nBcc: e@e.com", "sms.example.com")
    kept = ground.folder / "a.gif"
    kept.write_bytes(b"GIF89a")
    for text in said:
        lost = Attachment(name=text, content_type=text, state="failed", reason=text)
        files = (lost, Attachment(name=text, content_type="image/gif", state="kept", path=kept))
        mailer.send(Message("in", NUMBER, text, text=text, media=files), "desk@example.com")
    mails = ground.mailbox.wait_for(len(said))
    demand(len(mails) == len(said), f"{len(mails)} mails came of {len(said)}")
    for mail, text in zip(mails, said, strict=True):
        names = sorted(name.lower() for name in mail.keys())  # noqa: SIM118 - a mail's own
        demand(
            set(names) == {*HEADERS} - {"content-transfer-encoding"},
            f"{text!r} makes the headers {names}",
        )
        demand(mail["To"] == "desk@example.com", f"{text!r} is sent to {mail['To']}")
        parts = [part.get_content_type() for part in mail.walk()]
        demand(parts == PARTS, f"{text!r} makes {parts}")
        heads = {name.lower() for part in mail.walk() for name in part.keys()}  # noqa: SIM118
        demand(heads <= {*HEADERS, "content-disposition"}, f"{text!r} makes the headers {heads}")
    return len(mails)


PARTS = ["multipart/mixed", "text/plain", "image/gif"]
HEADERS = (
    *("subject", "from", "to", "date", "message-id", "auto-submitted", "mime-version"),
    *("content-type", "content-transfer-encoding"),
)


def _lines(log: str) -> int:
    """Every line of the log is one of ours."""
    written = [line for line in re.split(r"\r\n|\n|\r", log) if line]
    for line in _not_json(written):
        demand(False, f"the log has the line {line[:200]!r}")
    demand(not any(json.loads(line).get("event") == "forged" for line in written), "a forged line")
    demand("\x1b" not in log, "the log has a terminal's control sequence")
    demand(len(written) > 20, "hardly anything was logged")
    return len(written)


def _not_json(lines: list[str]) -> Iterator[str]:
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            yield line


CHECK = Check(
    name="hostile_texts",
    claim="What people write stays what they wrote: no script in a page, no header, no other mail, "
    "no line of the log, and no change of anything by a foreign form.",
    run=run,
    mutants=(
        Mutant(
            "services/mail/mailer.py",
            'kept = kept.replace("=?", "= ?")',
            "",
            "an encoded word in a file's name is read",
        ),
        Mutant(
            "blueprints/admin/access.py",
            "            self._require_form_key()\n",
            "            pass\n",
            "forms need no key",
        ),
        Mutant(
            "blueprints/admin/access.py",
            'fits = wanted.startswith(start) and "\\\\" not in wanted and wanted.isprintable()',
            "fits = True",
            "a sign-in leads anywhere",
        ),
        Mutant(
            "blueprints/admin/page.py",
            "        signed_in = current() is not None\n",
            "        signed_in = current() is not None\n"
            "        from flask import current_app\n\n"
            "        current_app.jinja_env.autoescape = False\n",
            "pages show words as markup",
        ),
    ),
)

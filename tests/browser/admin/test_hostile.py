"""Hostile texts, names and settings are shown as text on every page of the operator."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from services.core.messages import Attachment, Message, Status, WebhookCall
from services.store import (
    attempts,
    contacts,
    devices,
    job_leasing,
    jobs,
    messages,
    quarantine,
    statuses,
)
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from tests.browser.admin.conftest import ADMIN
from tests.browser.test_sandbox import HOSTILE
from tests.conftest import NUMBER, PEER, settings_file
from tests.server import Server, running_server

MARKS = "\u202egnp.exe\u2066 \u200f"
LONG = f"{' '.join(HOSTILE)} {MARKS} " + "\U0001f600" * 2000
SHORT = f"<img src=x onerror=\"document.title='taken'\"> {MARKS}"
STRANGE = "img[src=x], svg[onload], iframe, a[href^=javascript], #taken, [onerror], style"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
OF_A_KIND = 4
LEAST_KINDS, LEAST_SHOWN = 12, 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in which everything that somebody may name or write is hostile."""
    storage = tmp_path_factory.mktemp("hostile") / "storage"
    storage.mkdir()
    entry = {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"], "description": SHORT}
    (storage / "message_settings.json").write_text(settings_file(entry), "utf-8")
    with running_server(storage, ADMIN) as running:
        store = Store(None, storage)
        store.write(_put)
        store.close()
        yield running


def _put(tx: Connection) -> None:
    contacts.put(tx, contacts.Contact(PEER, SHORT))
    device, _ = devices.add(tx, "201", SHORT)
    for n, (number, peer) in enumerate(((NUMBER, PEER), (NUMBER, SHORT), ("+12025550199", PEER))):
        file = Attachment(name=SHORT, source_url="http://x/a", state="failed", reason=SHORT)
        came = Message(
            "in", number, peer, text=LONG, media=(file,), provider="sandbox", provider_id=f"h{n}"
        )
        kept = messages.add_inbound(tx, came)
        assert kept is not None
        jobs.add(tx, [Job(JobKind.PUSH, kept.id, "push:x", target=device.id)])
        for job in job_leasing.lease(tx, "w", "push:x", 1, time.time() + 1):
            attempts.add(tx, job, "refused", LONG, SHORT[:20])
            jobs.give_up(tx, job, LONG)
    wrote = Message(
        "out", NUMBER, PEER, text=LONG, provider="sandbox", status=Status.QUEUED, extension="201"
    )
    out = messages.add_outbound(tx, wrote, "f")
    statuses.advance(tx, out.id, Status.FAILED, code=SHORT[:20], reason=LONG)
    body = LONG.encode()
    call = WebhookCall("POST", {"content-type": SHORT, "user-agent": SHORT}, SHORT, body)
    quarantine.add(tx, "sandbox", call, LONG, body)


def test_no_page_takes_a_text_for_markup(operator: Callable[..., Any], server: Server) -> None:
    """Every page that the others lead to, with their parts unfolded."""
    page = operator("/")
    left, seen, shown = ["/admin/"], Counter[str](), set[str]()
    while left:
        path = left.pop()
        kind = ID.sub("…", path.partition("?")[0])
        if seen[kind] >= OF_A_KIND or "text/html" not in _type(page, server, path):
            continue
        seen[kind] += 1
        page.goto(f"{server.url}{path}")
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
        assert page.title() != "taken", path
        assert page.locator(STRANGE).count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if SHORT[:20] in page.locator("body").inner_text():
            shown.add(kind)
        links = page.locator("a[href^='/admin/']")
        left += links.evaluate_all("(all) => all.map((a) => a.pathname + a.search)")
    assert len(seen) >= LEAST_KINDS, seen
    assert len(shown) >= LEAST_SHOWN, shown


def _type(page: Any, server: Server, path: str) -> str:
    return str(page.request.head(f"{server.url}{path}").headers.get("content-type", ""))

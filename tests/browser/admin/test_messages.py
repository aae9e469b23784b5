"""Message pages in a browser: search, one message, retry."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Connection

from services.core.messages import DeliveryStatus, Message, Status, WebhookCall
from services.gateway import load_environment
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
from tests.browser.admin.conftest import ADMIN, FACES, violations
from tests.conftest import NUMBER, PEER, settings_file
from tests.server import Server, running_server
from tests.waiting import PATIENCE

HOSTILE = (
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
    "\u202egnp.exe\u2066 \u200f" + "😀" * 2000
)
SETTINGS = settings_file(
    {"number": NUMBER, "carrier": "sandbox", "extensions": ["201", "202"]},
    {"number": "+12025550101", "carrier": "sandbox", "enabled": False},
)
DELETED = "01a1fe89-006a-79a8-ac9e-ea314c4b9350"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a number for two extensions, and messages of every kind."""
    storage = tmp_path_factory.mktemp("admin") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    with running_server(storage, ADMIN) as running:
        populate(running)
        yield running


def text(server: Server, words: str, to: str = NUMBER, peer: str = PEER, media: Any = ()) -> None:
    """Somebody outside writes."""
    token = load_environment(server.env).webhook_token("sandbox")
    event = {"id": f"o{time.time_ns()}", "from": peer, "to": to, "text": words, "media": media}
    address = f"{server.url}/webhook/sandbox/sms?token={token}"
    requests.post(address, json=event, timeout=PATIENCE).raise_for_status()


def populate(server: Server) -> None:
    """Messages in every state, with what went wrong."""
    store = Store(None, server.storage)
    text(server, "Good morning! Is table six free at noon?", peer="+13035550188")
    text(server, "A picture of it", media=[f"{server.url}/sandbox/static/bridge.jpg"])
    text(server, HOSTILE)
    for index in range(3):
        text(server, f"Is anybody there? {index}", to="+12025550199")
    text(server, "And here?", to="+12025550101")

    def put(tx: Connection) -> None:
        contacts.put(tx, contacts.Contact("+13035550188", "Ada Lovelace"))
        device, _ = devices.add(tx, "201", "Ada’s phone")
        for status, code, reason in (
            (Status.DELIVERED, None, None),
            (Status.FAILED, "30006", "The number is a landline or cannot be reached."),
            (Status.UNKNOWN, None, "The carrier did not answer in time."),
        ):
            message = messages.add_outbound(
                tx,
                Message(
                    direction="out",
                    number=NUMBER,
                    peer="+13035550188",
                    text=f"Yes, it is. See you at noon ({status}).",
                    provider="sandbox",
                    status=Status.QUEUED,
                    extension="201",
                ),
                "f",
            )
            jobs.add(tx, [Job(JobKind.SEND, message.id, "send:nowhere")])
            (job,) = job_leasing.lease(tx, "w", "send:nowhere", 1, time.time() + 1)
            if status is Status.DELIVERED:
                jobs.done(tx, job)
                told = DeliveryStatus(Status.DELIVERED, "message-delivered", "x1", message.id)
                statuses.record_status(tx, "sandbox", told)
                continue
            attempts.add(tx, job, "retry", "Too many requests.", "429")
            jobs.give_up(tx, job, reason or "")
            attempts.add(tx, job, "refused", reason or "", code)
            statuses.advance(tx, message.id, status, code=code, reason=reason)
        peer = "+13035550188"
        message = next(each for each in messages.find(tx, limit=20) if each.peer == peer)
        for target in (device.id, DELETED):
            jobs.add(tx, [Job(JobKind.PUSH, message.id, "push:nowhere", target=target)])
            for job in job_leasing.lease(tx, "w", "push:nowhere", 1, time.time() + 1):
                jobs.give_up(tx, job, "The device was revoked.")
        body = b'{"event": "message.something-new", "from": "' + HOSTILE[:200].encode() + b'"}'
        call = WebhookCall("POST", {"content-type": "application/json"}, "", body)
        quarantine.add(tx, "sandbox", call, "There is no “text” in it.", body)

    store.write(put)
    store.close()


PAGES = {
    "list": "/messages",
    "filtered": "/messages?state=failed&since=2020-01-01",
    "nothing": "/messages?text=nothing",
    "wrong": "/messages?either=nonsense!",
    "given-up": "/messages/given-up?kind=send",
    "unrouted": "/messages/unrouted",
    "quarantine": "/messages/quarantine",
}


@pytest.mark.parametrize(("size", "scheme"), FACES)
def test_axe_finds_nothing(
    operator: Callable[..., Any], server: Server, complaints: list[str], size: str, scheme: str
) -> None:
    page = operator("/messages", size, scheme)
    for name, path in PAGES.items():
        page.goto(f"{server.url}/admin{path}")
        assert violations(page) == [], name
        assert page.title() != "broken"
    complaints.clear()  # the page that says what is wrong answers 422
    for words in ("unknown", "A picture of it", "document.title", "Is anybody"):
        page.goto(f"{server.url}/admin/messages")
        page.locator("tr", has_text=words).first.locator("a").click()
        page.get_by_role("heading", name="Delivery history").wait_for()
        if page.locator(".confirm").count():
            page.locator(".confirm summary").first.click()
        assert violations(page) == [], words
        assert page.title() != "broken"
        assert complaints == []
    page.goto(f"{server.url}/admin/messages/quarantine")
    page.locator("tbody a").first.click()
    page.get_by_text("Drop", exact=True).click()
    assert violations(page) == []


def test_the_list_renews_itself_and_a_filter_finds(
    operator: Callable[..., Any], server: Server
) -> None:
    page = operator("/messages")
    text(server, "This came while you looked")
    page.get_by_text("This came while you looked").wait_for(timeout=30_000)
    page.get_by_label("Words").fill("noon")
    page.get_by_label("Direction").select_option("in")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("Is table six free").wait_for()
    assert page.locator("tbody tr").count() == 1
    page.get_by_text("Ada Lovelace").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    written = Path(download.value.path()).read_text("utf-8-sig")
    assert written.count("Good morning!") == 1
    assert "landline" not in written


def test_a_picture_is_shown_beside_its_text(operator: Callable[..., Any]) -> None:
    page = operator("/messages?text=picture")
    page.locator("tbody a").first.click()
    image = page.locator(".pictures img")
    image.wait_for()
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth > 0)")


def test_what_may_have_been_sent_is_decided(operator: Callable[..., Any]) -> None:
    page = operator("/messages?state=unknown")
    page.locator("tbody a").first.click()
    page.get_by_text("Send again", exact=True).click()
    page.get_by_text("the recipient gets it twice").wait_for()
    page.get_by_role("button", name="It was sent").click()
    page.get_by_text("Noted: it was sent.").wait_for()
    page.get_by_text("The administrator says that it was sent").wait_for()
    assert page.locator(".top .badge").inner_text() == "Sent"


def test_everything_given_up_of_a_kind_is_tried_again_after_a_question(
    operator: Callable[..., Any],
) -> None:
    page = operator("/messages/given-up")
    page.get_by_role("link", name="Push").first.click()
    page.locator("summary", has_text="Try 2 pushes again").click()
    page.get_by_role("button", name="Try 2 pushes again").click()
    page.get_by_text("2 pushes will be tried again now.").wait_for()

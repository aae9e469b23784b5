"""Texts in the phone app: links, times, files that are dropped, and what is tried again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.browser.phone.world import SHARED_NUMBER, World, enter, row, said, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
LINKS = "[...document.querySelectorAll('.words a')].map((a) => [a.textContent, a.href])"
DROP = """() => {
    const files = new DataTransfer();
    files.items.add(new File(["%PDF-1.4 offer"], "offer.pdf", { type: "application/pdf" }));
    return files;
}"""


def test_addresses_and_numbers_in_a_text_are_links(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    text = (
        "See www.example.com/a, https://example.org/b?c=1. Write to ann.b@example.co.uk, or call "
        "(303) 555-0199 or +44 20 7183 8750. On 2026-11-30 at 10:30, order 123456789012; not a@b."
    )
    world.text(peer, text)
    enter(page, spoken(peer))
    said(page, text).wait_for()
    assert page.evaluate(LINKS) == [
        ["www.example.com/a", "https://www.example.com/a"],
        ["https://example.org/b?c=1", "https://example.org/b?c=1"],
        ["ann.b@example.co.uk", "mailto:ann.b@example.co.uk"],
        ["(303) 555-0199", "tel:+13035550199"],
        ["+44 20 7183 8750", "tel:+442071838750"],
    ]


def test_old_times_have_their_year_and_each_time_its_zone(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(timezone_id="America/New_York")
    world.text(peer, "hi")
    row(page, spoken(peer)).wait_for()
    at = datetime.fromisoformat(world.messages(peer)[0]["created_at"])
    there = at.astimezone(ZoneInfo("America/New_York"))
    page.clock.set_fixed_time(at + timedelta(days=800))
    page.reload()
    day = f"{there:%b} {there.day}, {there.year}"
    assert row(page, spoken(peer)).locator(".row-time").text_content() == day
    enter(page, spoken(peer))
    long_day = f"{there:%A, %B} {there.day}, {there.year}"
    page.get_by_role("heading", name=long_day).wait_for()
    title = page.locator(".foot time").first.get_attribute("title")
    assert title.startswith(f"{long_day} at ")
    assert title.endswith(f" {there.tzname()}")


def test_a_title_is_no_initial(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.api("PUT", f"/contacts/{peer}", json={"name": "Dr. Bob Miller, PhD"})
    world.text(peer, "hi")
    page.reload()
    assert row(page, "Bob Miller").locator(".avatar").text_content() == "BM"


def test_a_file_is_dropped_anywhere_on_the_conversation(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "Where is the offer?")
    enter(page, spoken(peer))
    for event in ("dragover", "drop"):
        files = page.evaluate_handle(DROP)
        page.locator(".talk-scroll").dispatch_event(event, {"dataTransfer": files})
    page.get_by_role("button", name="Remove offer.pdf").wait_for()
    page.get_by_text("Drop to attach").wait_for(state="hidden")
    page.locator(".list").dispatch_event("drop", {"dataTransfer": page.evaluate_handle(DROP)})
    page.get_by_role("button", name="Send", exact=True).click()
    assert [m["name"] for m in world.sent(peer)["media"]] == ["offer.pdf"]


@pytest.mark.parametrize("before", [True, False], ids=["failed before", "refused"])
def test_where_somebody_has_opted_out_nothing_is_tried_again(
    phone: Open, world: World, complaints: list[str], before: bool
) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    if before:
        world.api("POST", "/messages", json={"to": peer, "from": SHARED_NUMBER, "text": "Hello?"})
        world.receipt(world.sent(peer)["id"], "failed")
        said(page, "Hello?").get_by_role("button", name="Try again").wait_for()
        world.text(peer, "STOP")
    else:
        page.context.set_offline(True)
        page.locator(".composer textarea").fill("Hello?")
        page.keyboard.press("Enter")
        said(page, "Hello?").get_by_text("Waiting to be sent", exact=True).wait_for()
        world.text(peer, "STOP")
        eventually(lambda: world.conversation(peer)["closed_reason"])
        page.context.set_offline(False)
        said(page, "Hello?").get_by_role("button", name="Delete").wait_for()
    page.locator(".consent", has_text="opted out").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0
    complaints.clear()  # the requests that failed, as the browser notes them

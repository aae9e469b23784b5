"""Drafts of the phone app: stored on the device, shown in the list, gone when sent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.phone.world import SALES, World, enter, row, said, spoken, write
from tests.waiting import eventually

Open = Callable[..., Any]
STORED = """async () => (await (await import('/phone/db.js')).startingWith('draft '))
    .map(({ value }) => value.text)"""


def field(page: Any) -> Any:
    return page.locator(".composer textarea")


def test_a_draft_stays_with_its_conversation_and_goes_when_it_is_sent(
    phone: Open, world: World
) -> None:
    first, second, page = world.peer(), world.peer(), phone()
    for peer in (first, second):
        world.text(peer, "hi")
        row(page, spoken(peer)).wait_for()
    enter(page, spoken(first))
    field(page).fill("Half of a sen")
    enter(page, spoken(second))
    assert field(page).input_value() == ""
    row(page, spoken(first)).get_by_text("Draft: Half of a sen").wait_for()
    field(page).fill("Nothing")
    field(page).fill("")
    eventually(lambda: page.evaluate(STORED) == ["Half of a sen"])
    page.reload()
    row(page, spoken(first)).get_by_text("Draft: Half of a sen").wait_for()
    enter(page, spoken(first))
    assert field(page).input_value() == "Half of a sen"
    write(page, "Half of a sentence.")
    said(page, "Half of a sentence.").get_by_text("Sent", exact=True).wait_for()
    assert page.evaluate(STORED) == []
    enter(page, spoken(second))
    row(page, spoken(first)).get_by_text("You: Half of a sentence.").wait_for()


def test_a_draft_is_there_after_a_reload_in_the_middle_of_a_word(
    phone: Open, world: World, tmp_path: Path
) -> None:
    peer, page = world.peer(), phone()
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "point.png")
    page.goto(f"{page.url.partition('#')[0]}#/to/{SALES}/{peer}")
    field(page).wait_for()
    page.locator(".composer input[type=file]").set_input_files(tmp_path / "point.png")
    page.get_by_role("button", name="Remove point.png").wait_for()
    field(page).fill("Look")
    page.reload()  # at once: what is not stored yet is stored when the page is left
    page.get_by_role("button", name="Remove point.png").wait_for()
    assert field(page).input_value() == "Look"
    page.evaluate("location.hash = '#/'")
    begun = row(page, spoken(peer))
    begun.get_by_text("Draft: Look").wait_for()
    begun.click()
    write(page, "Look here")
    sent = world.sent(peer, SALES)
    assert (sent["text"], [m["content_type"] for m in sent["media"]]) == (
        "Look here",
        ["image/png"],
    )
    assert page.evaluate(STORED) == []


def test_a_draft_sent_in_one_window_is_gone_in_the_other(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    other = page.context.new_page()
    other.goto(page.url)
    enter(page, spoken(peer))
    field(page).fill("Just a moment")
    row(other, spoken(peer)).get_by_text("Draft: Just a moment").wait_for()
    page.keyboard.press("Enter")
    row(other, spoken(peer)).get_by_text("You: Just a moment").wait_for()
    enter(other, spoken(peer))
    assert field(other).input_value() == ""

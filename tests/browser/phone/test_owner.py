"""Who looks after a conversation, in the phone app: handed over, done, opened again by a text."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import World, enter, row, said, spoken

Open = Callable[..., Any]


def under(page: Any, words: str) -> None:
    """Wait until these words stand below the title of the open conversation."""
    page.locator(".talk-under", has_text=words).wait_for()


def test_a_conversation_is_taken_handed_over_and_done(phone: Open, world: World) -> None:
    peer = world.peer()
    mine, theirs = phone("201"), phone("202")
    world.text(peer, "Is anybody there?")
    for page in (mine, theirs):
        row(page, spoken(peer)).wait_for()
        enter(page, spoken(peer))
        said(page, "Is anybody there?").wait_for()
    mine.locator(".talk-title").click()
    mine.get_by_role("button", name="I answer").click()
    under(mine, "yours")
    under(theirs, "extension 201 answers")
    mine.locator(".talk-title").click()
    mine.get_by_label("Person who answers").select_option(label="Extension 202")
    mine.get_by_role("button", name="Hand over").click()
    under(theirs, "yours")
    theirs.locator(".talk-title").click()
    theirs.get_by_role("button", name="Done", exact=True).click()
    under(mine, "done")
    world.text(peer, "One more thing")
    said(mine, "One more thing").wait_for()
    mine.locator(".talk-under", has_text="done").wait_for(state="hidden")
    assert world.conversation(peer)["done"] is False


def test_a_conversation_is_pinned_and_muted_for_one_extension(phone: Open, world: World) -> None:
    first, second = world.peer(), world.peer()
    mine = phone("201")
    for peer in (first, second):
        world.text(peer, "hello")
        row(mine, spoken(peer)).wait_for()
    names = mine.locator("#conversations .row-name")
    assert names.first.inner_text() == spoken(second)
    enter(mine, spoken(first))
    for button in ("Pin", "Mute"):
        mine.get_by_role("button", name="Menu of this conversation").click()
        mine.get_by_role("button", name=button, exact=True).click()
        mine.locator("dialog").wait_for(state="detached")
    row(mine, spoken(first)).get_by_title("Pinned").wait_for()
    row(mine, spoken(first)).get_by_title("Muted").wait_for()
    assert names.first.inner_text() == spoken(first)
    found = world.conversation(first)
    assert (found["muted"], found["pinned"]) == (True, True)
    theirs = world.conversation(first, extension="202")
    assert (theirs["muted"], theirs["pinned"]) == (False, False)
    enter(mine, spoken(second))
    row(mine, spoken(second)).locator(".count").wait_for(state="hidden")  # it is read
    counted = mine.title()
    world.text(first, "muted words")
    row(mine, spoken(first)).get_by_text("muted words").wait_for()
    row(mine, spoken(first)).locator(".count", has_text="1").wait_for()
    assert mine.title() == counted
    world.text(second, "newer")
    row(mine, spoken(second)).get_by_text("newer").wait_for()
    world.api("DELETE", f"/conversations/{found['id']}/pin")
    row(mine, spoken(first)).get_by_title("Pinned").wait_for(state="hidden")
    assert names.first.inner_text() == spoken(second)

"""A text that comes in elsewhere while one conversation of the phone app is open."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.phone.world import World, enter, row, said, spoken
from tests.server import Server
from tests.waiting import eventually

Open = Callable[..., Any]
COUNT_SOUNDS = """() => {
    window.sounds = 0;
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...at) {
        window.sounds += 1;
        return start.apply(this, at);
    };
}"""


def toast(page: Any, name: str) -> Any:
    return page.locator("a.toast", has_text=name)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_text_elsewhere_is_seen_and_opened(phone: Open, world: World, width: int) -> None:
    here, there = world.peer(), world.peer()
    page = phone(viewport={"width": width, "height": 844})
    world.text(here, "hi")
    enter(page, spoken(here))
    back = page.locator(".talk:not([hidden]) .back")
    said(page, "hi").wait_for()
    before = _count(back)
    world.text(there, "Where are you?")
    toast(page, spoken(there)).get_by_text("Where are you?").wait_for()
    assert _count(back) == before + 1
    toast(page, spoken(there)).click()
    page.get_by_label(f"Message to {spoken(there)}").wait_for()
    toast(page, spoken(there)).wait_for(state="hidden")
    eventually(lambda: _count(back) == before)
    world.text(there, "Still here?")
    said(page, "Still here?").wait_for()
    assert page.locator("a.toast:visible").count() == 0


def _count(back: Any) -> int:
    """How many texts the back arrow says are unread elsewhere, in numbers and in its name."""
    label = back.get_attribute("aria-label")
    count: int = int(label.split(", ")[1].split()[0]) if ", " in label else 0
    assert back.locator(".back-count").text_content() == str(count)
    return count


def test_a_muted_conversation_and_the_list_show_no_note(phone: Open, world: World) -> None:
    here, muted, page = world.peer(), world.peer(), phone()
    for peer in (here, muted):
        world.text(peer, "hi")
        row(page, spoken(peer)).wait_for()
    world.api("PUT", f"/conversations/{world.conversation(muted)['id']}/mute")
    row(page, spoken(muted)).get_by_title("Muted").wait_for()
    enter(page, spoken(here))
    said(page, "hi").wait_for()
    before = _count(page.locator(".talk:not([hidden]) .back"))
    world.text(muted, "quiet")
    row(page, spoken(muted)).get_by_text("quiet").wait_for()
    assert page.locator("a.toast:visible").count() == 0
    assert _count(page.locator(".talk:not([hidden]) .back")) == before


def test_a_sound_if_it_is_wanted(phone: Open, world: World) -> None:
    here, there, page = world.peer(), world.peer(), phone()
    world.text(here, "hi")
    row(page, spoken(here)).wait_for()
    page.evaluate(COUNT_SOUNDS)
    enter(page, spoken(here))
    world.text(there, "silent")
    toast(page, spoken(there)).get_by_text("silent").wait_for()
    assert page.evaluate("window.sounds") == 0
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("switch", name="Sound while the app is open").check()
    assert page.evaluate("window.sounds") == 2  # how it sounds
    page.keyboard.press("Escape")
    world.text(there, "heard")
    toast(page, spoken(there)).get_by_text("heard").wait_for()
    eventually(lambda: page.evaluate("() => window.sounds === 4"))
    world.text(here, "seen on the screen")
    said(page, "seen on the screen").wait_for()
    assert page.evaluate("window.sounds") == 4


def test_the_note_without_a_connection_covers_nothing(
    phone: Open, world: World, server: Server, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone(viewport={"width": 390, "height": 844})
    world.text(peer, "hi")
    enter(page, spoken(peer))
    page.context.set_offline(True)
    page.locator("#connection").wait_for()
    note = page.locator("#connection").bounding_box()
    head = page.locator(".talk:not([hidden]) .bar").bounding_box()
    assert note["y"] + note["height"] <= head["y"] + 0.5
    assert page.locator(".composer").bounding_box()["y"] < 844
    page.context.set_offline(False)
    page.locator("#connection").wait_for(state="hidden")
    complaints.clear()  # the broken connections, as the browser notes them

"""Swipes over the rows of the phone app's list, by real touches."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.phone.world import SALES, World, row, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
STILL = "document.querySelector('.row.swiped, .row-beneath') === null"


class Finger:
    """One finger on the page."""

    def __init__(self, page: Any) -> None:
        self._touch = page.context.new_cdp_session(page)
        self._at = (0.0, 0.0)

    def down(self, node: Any, part: float = 0.5) -> None:
        """Touch a node, at a part of its width."""
        node.wait_for()
        box = node.bounding_box()
        self._at = (box["x"] + box["width"] * part, box["y"] + box["height"] / 2)
        self._send("touchStart")

    def move(self, x: float, y: float = 0, steps: int = 6) -> None:
        """Move by so many pixels."""
        for _ in range(steps):
            self._at = (self._at[0] + x / steps, self._at[1] + y / steps)
            self._send("touchMove")

    def up(self) -> None:
        self._touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def swipe(self, node: Any, x: float, y: float = 0) -> None:
        self.down(node)
        self.move(x, y)
        self.up()

    def _send(self, kind: str) -> None:
        point = {"x": self._at[0], "y": self._at[1]}
        self._touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})


def picture(page: Any, name: str) -> None:
    """Keep what the page shows, where somebody wants to look at it."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def changes(page: Any) -> list[str]:
    """The changes of conversations that the page asks for from now on."""
    asked: list[str] = []

    def note(request: Any) -> None:
        if request.method != "GET" and "/conversations/" in request.url:
            asked.append(f"{request.method} {request.url.rpartition('/')[2]}")

    page.on("request", note)
    return asked


def x_of(node: Any) -> float:
    return float(node.bounding_box()["x"])


def pull(page: Any, finger: Finger, node: Any, x: float, words: str) -> None:
    """Pull a row so far that it shows what a swipe does, once the app knows what was before."""

    def shows() -> bool:
        finger.down(node)
        finger.move(x)
        eventually(lambda: not page.evaluate(STILL))
        if page.locator(".row-beneath").text_content() == words:
            return True
        finger.move(-x)
        finger.up()
        eventually(lambda: page.evaluate(STILL))
        return False

    eventually(shows)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_each_side_has_its_action_and_the_row_follows_the_finger(
    phone: Open, world: World, motion: str
) -> None:
    peer, page = world.peer(), phone(**PHONE, reduced_motion=motion)
    world.text(peer, "hi")
    here, finger = row(page, spoken(peer)), Finger(page)
    here.locator(".count").wait_for()
    before, beneath = x_of(here), page.locator(".row-beneath")
    pull(page, finger, here, -60, "Done")
    eventually(lambda: x_of(here) == pytest.approx(before - 60, abs=1))
    assert "reached" not in beneath.get_attribute("class")
    picture(page, f"to-start-near-{motion}")
    finger.move(-80)
    eventually(lambda: x_of(here) == pytest.approx(before - 140, abs=1))
    assert "reached" in beneath.get_attribute("class")
    picture(page, f"to-start-far-{motion}")
    finger.up()
    eventually(lambda: world.conversation(peer)["done"])
    eventually(lambda: page.evaluate(STILL))
    assert x_of(here) == before
    pull(page, finger, here, -140, "Open again")
    finger.up()
    eventually(lambda: not world.conversation(peer)["done"])
    for words, unread, badge in (("Mark as read", 0, "hidden"), ("Mark as unread", 1, "visible")):
        eventually(lambda: page.evaluate(STILL))
        pull(page, finger, here, 140, words)
        picture(page, f"to-end-{unread}-{motion}")
        finger.up()
        here.locator(".count").wait_for(state=badge)
        assert world.conversation(peer)["unread_count"] == unread
    eventually(lambda: page.evaluate(STILL))
    assert "#/c/" not in page.url
    here.click()  # opens it as ever
    page.get_by_label(f"Message to {spoken(peer)}").wait_for()


def test_what_is_no_swipe_changes_nothing(phone: Open, world: World) -> None:
    peers, page = [world.peer() for _ in range(14)], phone(**PHONE)
    for peer in peers:
        world.text(peer, "hi")
    here, finger = row(page, spoken(peers[-3])), Finger(page)
    here.wait_for()
    asked, before = changes(page), x_of(here)
    scroller = page.locator("#list-scroll")

    finger.swipe(here, -70)  # not far enough
    eventually(lambda: page.evaluate(STILL))
    finger.down(here)
    finger.move(-140)
    finger.move(100)  # and back again
    finger.up()
    eventually(lambda: page.evaluate(STILL))

    far = row(page, spoken(peers[-5]))
    top = scroller.evaluate("(node) => node.scrollTop")
    finger.swipe(far, -40, -200)  # up, at a slant
    eventually(lambda: scroller.evaluate("(node) => node.scrollTop") > top + 50)
    finger.swipe(row(page, spoken(peers[-6])), 30, 260)
    eventually(lambda: scroller.evaluate("(node) => node.scrollTop") < top + 50)
    assert page.evaluate(STILL)

    finger.down(here, 0.02)  # the edge of the screen: there the system goes back
    finger.move(200)
    assert page.evaluate(STILL)
    finger.up()

    finger.down(here)
    page.get_by_role("dialog").wait_for()  # the long touch has come first
    finger.move(-200)
    assert page.evaluate(STILL)
    finger.up()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert x_of(here) == before
    assert "#/c/" not in page.url
    assert asked == []


def test_a_draft_without_a_conversation_stays_where_it_is(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**PHONE)
    page.goto(f"{page.url.partition('#')[0]}#/to/{SALES}/{peer}")
    page.locator(".composer textarea").fill("Half of a sen")
    page.evaluate("location.hash = '#/'")
    here, finger = row(page, spoken(peer)), Finger(page)
    here.get_by_text("Draft: Half of a sen").wait_for()
    here.tap()  # a touch that does not move opens it as ever
    eventually(lambda: "#/to/" in page.url)
    page.evaluate("location.hash = '#/'")
    eventually(lambda: x_of(here) >= 0)  # the list slides in
    page.wait_for_timeout(400)
    finger.down(here)
    finger.move(-140)
    assert page.evaluate(STILL)
    finger.up()


def test_sides_change_places_where_one_writes_from_right_to_left(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**PHONE)
    world.text(peer, "hi")
    page.evaluate("document.documentElement.dir = 'rtl'")
    here, finger = row(page, spoken(peer)), Finger(page)
    pull(page, finger, here, 140, "Done")
    words = page.locator(".row-beneath span")
    assert words.bounding_box()["x"] < 140  # where the row has gone away
    picture(page, "right-to-left")
    finger.up()
    eventually(lambda: world.conversation(peer)["done"])


def test_a_swipe_that_fails_says_why(phone: Open, world: World, complaints: list[str]) -> None:
    peer, page = world.peer(), phone(**PHONE, service_workers="block")
    world.text(peer, "hi")
    here, finger = row(page, spoken(peer)), Finger(page)
    here.wait_for()
    page.route("**/api/v1/conversations/*/assign", lambda route: route.abort())
    finger.swipe(here, -140)
    said = page.get_by_role("dialog", name=spoken(peer))
    said.get_by_text("There is no connection.").wait_for()
    picture(page, "failed")
    assert world.conversation(peer)["done"] is False
    complaints.clear()  # the request that failed, as the browser notes it

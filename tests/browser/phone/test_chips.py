"""Chips of the phone app: the list shows everything, what is unread, or one number."""

import re
from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import SALES, SINGLE, World, enter, row, said, spoken
from tests.waiting import eventually

Open = Callable[..., Any]


def chip(page: Any, name: str) -> Any:
    return page.get_by_role("group", name="Show").get_by_role("button", name=re.compile(f"^{name}"))


def names(page: Any) -> list[str]:
    found: list[str] = page.locator("#conversations .row-name").all_text_contents()
    return found


def test_the_list_shows_one_number_or_what_is_unread(phone: Open, world: World) -> None:
    desk, sales = world.peer(), world.peer()
    page = phone("201", viewport={"width": 1280, "height": 800})
    world.text(desk, "to the desk")
    world.text(sales, "to sales", to=SALES)
    for peer in (desk, sales):
        row(page, spoken(peer)).locator(".count").wait_for()
    own = row(page, spoken(sales)).locator(".row-own")
    eventually(lambda: own.text_content() == "Sales")
    chip(page, "Sales, 1 unread").click()
    assert chip(page, "Sales").get_attribute("aria-pressed") == "true"
    row(page, spoken(desk)).wait_for(state="detached")
    eventually(lambda: names(page) == [spoken(sales)])
    assert page.locator("#conversations .row-own:visible").count() == 0
    chip(page, "Unread").click()
    eventually(lambda: set(names(page)) == {spoken(desk), spoken(sales)})
    enter(page, spoken(sales))
    chip(page, "Unread, 1").wait_for()
    assert spoken(sales) in names(page)  # while it is open
    enter(page, spoken(desk))
    said(page, "to the desk").wait_for()
    eventually(lambda: names(page) == [spoken(desk)])
    page.evaluate("location.hash = '#/'")
    page.get_by_text("Nothing unread").wait_for()
    chip(page, "All").click()
    eventually(lambda: {spoken(desk), spoken(sales)} <= set(names(page)))


def test_a_chip_brings_conversations_that_are_not_here_yet(phone: Open, world: World) -> None:
    old, page = world.peer(), phone(service_workers="block")
    world.text(old, "long ago", to=SALES)
    row(page, spoken(old)).wait_for()

    def short(route: Any) -> None:  # as if there were many newer ones
        answer = route.fetch()
        found = answer.json()
        if "number=" not in route.request.url:
            found["items"] = [one for one in found["items"] if one["peer"] != old]
        route.fulfill(response=answer, json=found)

    page.route("**/api/v1/conversations?*", short)
    page.reload()
    chip(page, "All").wait_for()
    row(page, spoken(old)).wait_for(state="detached")
    chip(page, "Sales").click()
    row(page, spoken(old)).get_by_text("long ago").wait_for()


def test_one_number_needs_no_chips(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone("203")
    world.text(peer, "hi", to=SINGLE)
    row(page, spoken(peer)).wait_for()
    assert page.locator(".chip:visible").count() == 0


def test_the_own_number_is_never_cut_to_nothing(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(viewport={"width": 320, "height": 640})
    name = "Carla Long-Surname of the Accounts Office in Chicago"
    world.api("PUT", f"/contacts/{peer}", json={"name": name})
    world.text(peer, "hi")
    page.reload()
    own = row(page, name).locator(".row-own")
    own.wait_for()
    assert own.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    box = row(page, name).locator(".row-name").bounding_box()
    assert box["width"] > 40


def test_who_has_written_is_readable_beside_a_long_number_of_ours(
    phone: Open, world: World
) -> None:
    peer, page = world.peer(), phone(viewport={"width": 390, "height": 844})
    world.text(peer, "hi")
    line = row(page, spoken(peer))
    line.wait_for()
    for place, words in (("own", "(202) 555-0143"), ("time", "Nov 24, 2025")):
        line.locator(f".row-{place}").evaluate("(node, words) => (node.textContent = words)", words)
    name, own, preview = (line.locator(f".row-{part}") for part in ("name", "own", "preview"))
    for node in (name, own, preview):
        assert node.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    assert own.bounding_box()["y"] >= name.bounding_box()["y"] + name.bounding_box()["height"] - 1

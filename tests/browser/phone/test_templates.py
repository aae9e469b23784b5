"""Message templates in the phone app: found by “/”, put into the field, sent by hand only."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.message_settings import SettingsFile
from services.operations.settings_source import FILE
from tests.browser.phone.test_access import faults
from tests.browser.phone.world import SETTINGS, World, enter, row, said, spoken, texts
from tests.waiting import eventually

Open = Callable[..., Any]
TEMPLATES = [
    {"name": "Opening hours", "text": "Hello {contact}, we are open from 8 to 5."},
    {"name": "Call back", "text": "Please call {extension}: {number}."},
    {"name": "Only 202", "text": "Nobody else sees this.", "extensions": ["202"]},
    *({"name": f"More {n}", "text": "<b>Words</b> " * 20} for n in range(12)),
]


@pytest.fixture
def templates(world: World) -> Iterator[None]:
    """Templates for all and for one extension."""

    def put(items: list[dict[str, Any]]) -> None:
        document = {**json.loads(SETTINGS), "version": 2, "templates": items}
        SettingsFile(world.server.storage / FILE).replace(lambda _: json.dumps(document).encode())
        offered = [one["name"] for one in items if one.get("extensions") != ["202"]]
        eventually(lambda: names() == offered)

    def names() -> list[str]:
        return [one["name"] for one in world.api("GET", "/templates")["items"]]

    put(TEMPLATES)
    yield
    put([])


def conversation(page: Any, world: World, name: str = "") -> tuple[str, Any]:
    """Open a conversation with somebody new; returns the number and the field for the text."""
    peer = world.peer()
    world.text(peer, "Hi")
    row(page, spoken(peer)).wait_for()
    if name:
        world.api("PUT", f"/contacts/{peer}", json={"name": name})
    enter(page, spoken(peer))
    said(page, "Hi").wait_for()
    return peer, page.locator(".composer textarea")


def options(page: Any) -> Any:
    return page.get_by_role("listbox", name="Templates").get_by_role("option")


def is_inside(page: Any, width: int) -> bool:
    """Whether the list is as wide as the window at most, and below the bar at the top."""
    box = page.locator("#templates").bounding_box()
    bar = page.locator("#talk .bar:visible").bounding_box()
    below = box["y"] >= bar["y"] + bar["height"]
    inside = box["x"] >= 0 and box["x"] + box["width"] <= width
    return bool(below and inside and page.locator("#talk").bounding_box()["x"] >= 0)


@pytest.mark.parametrize("size", [(390, 760), (1280, 800)], ids=["phone", "desk"])
def test_one_is_found_put_into_the_field_and_sent_by_hand(
    phone: Open, world: World, templates: None, size: tuple[int, int]
) -> None:
    page = phone(viewport={"width": size[0], "height": size[1]})
    peer, field = conversation(page, world, "Ann Example")
    field.press_sequentially("/")
    options(page).first.wait_for()
    assert options(page).count() == len(TEMPLATES) - 1
    assert page.get_by_role("option", name="Only 202").count() == 0
    eventually(lambda: is_inside(page, size[0]))  # the pane slides in
    assert faults(page) == []
    field.press_sequentially("OPEN")
    page.get_by_role("option", name="Opening hours", selected=True).wait_for()
    assert options(page).count() == 1
    assert field.get_attribute("aria-activedescendant") == options(page).first.get_attribute("id")
    field.press("Enter")
    options(page).first.wait_for(state="hidden")
    filled = "Hello Ann Example, we are open from 8 to 5."
    assert field.input_value() == filled
    assert field.evaluate("f => [f.selectionStart, f.selectionEnd]") == [len(filled)] * 2
    assert texts(page) == ["Hi"]
    field.press_sequentially(" Bye")
    page.get_by_role("button", name="Send", exact=True).click()
    assert world.sent(peer)["text"] == f"{filled} Bye"


def test_arrows_a_tap_and_escape(phone: Open, world: World, templates: None) -> None:
    page = phone()
    peer, field = conversation(page, world)
    field.press_sequentially("/")
    page.get_by_role("option", name="Opening hours", selected=True).wait_for()
    field.press("ArrowDown")
    page.get_by_role("option", name="Call back", selected=True).wait_for()
    field.press("ArrowUp")
    field.press("ArrowUp")
    page.get_by_role("option", name="More 11", selected=True).wait_for()
    field.press("Escape")
    options(page).first.wait_for(state="hidden")
    assert field.input_value() == "/"
    field.press_sequentially("call")
    assert options(page).count() == 0  # it stays closed until the text begins anew
    field.fill("")
    field.press_sequentially("/call")
    page.get_by_role("option", name="Call back").click()
    assert field.input_value() == "Please call 201: (202) 555-0100."
    assert field.evaluate("f => f === document.activeElement")
    field.fill("")
    field.press_sequentially("/nothing like it")
    options(page).first.wait_for(state="hidden")
    field.press("Enter")
    assert world.sent(peer)["text"] == "/nothing like it"


def test_without_a_name_and_without_a_connection(
    phone: Open, world: World, templates: None, complaints: list[str]
) -> None:
    page = phone()
    _, field = conversation(page, world, "Ann Example")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    field.press_sequentially("/open")
    options(page).first.wait_for()
    field.fill("")
    page.context.set_offline(True)
    page.locator("#connection").wait_for()
    field.press_sequentially("/open")
    page.get_by_role("option", name="Hello Ann Example, we are open from 8 to 5.").wait_for()
    page.reload()  # what is in memory is gone; the stored list has no names
    page.locator("#connection").wait_for()
    assert field.input_value() == "/open"  # the draft
    field.fill("")
    field.press_sequentially("/")
    page.get_by_role("option", name="Hello, we are open from 8 to 5.").wait_for()
    assert options(page).count() == len(TEMPLATES) - 1
    complaints.clear()  # the missing connection, as the browser notes it


def test_where_there_is_none_a_slash_is_a_slash(phone: Open, world: World) -> None:
    page = phone()
    peer, field = conversation(page, world)
    with page.expect_response("**/api/v1/templates?*"):
        field.press_sequentially("/")
    field.press_sequentially("me")
    assert page.locator("#templates").is_hidden()
    field.press("Enter")
    assert world.sent(peer)["text"] == "/me"


def test_in_a_new_conversation_the_chosen_number_is_filled_in(
    phone: Open, world: World, templates: None
) -> None:
    page = phone()
    page.evaluate("peer => (location.hash = `#/to/+12025550160/${peer}`)", world.peer())
    field = page.locator(".composer textarea")
    field.press_sequentially("/call")
    page.get_by_role("option", name="Please call 201: (202) 555-0160.").wait_for()

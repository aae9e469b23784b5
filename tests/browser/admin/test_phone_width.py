"""The operator's pages on a phone: nothing runs off the side, rows are cards, the menu is whole."""

from collections.abc import Callable
from typing import Any

import pytest

from blueprints.admin.page import MENU
from tests.browser.admin.conftest import violations
from tests.server import Server

PHONE = {"width": 390, "height": 844}
PAGES = (
    *("/", "/messages", "/messages/unrouted", "/message-settings", "/devices", "/activity"),
    *("/people", "/people/201", "/contacts", "/contacts/import"),
    "/doctor",
)


@pytest.fixture
def page(operator: Callable[..., Any], server: Server) -> Any:
    to_nobody = ("--from", "+13035550178", "--to", "+12025550199", "--text", "hello")
    assert server.flask("simulate", "sandbox", *to_nobody).returncode == 0
    served = ("settings", "set", "+12025550143", "--carrier", "sandbox", "--extension", "201")
    assert server.flask(*served).returncode == 0
    server.flask("devices", "add", "201", "--name", "A phone with quite a long name of its own")
    opened = operator("/")
    opened.set_viewport_size(PHONE)
    return opened


@pytest.mark.parametrize("path", PAGES)
def test_nothing_runs_off_the_side_and_the_menu_is_in_sight(
    page: Any, server: Server, path: str
) -> None:
    page.goto(f"{server.url}/admin{path}")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for entry in page.get_by_role("navigation", name="Menu").get_by_role("link").all():
        box = entry.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] < 200
    shown = {link.inner_text() for link in page.locator("nav[aria-label=Menu] a").all()}
    assert shown <= {entry.title for entry in MENU}
    assert violations(page) == []


def test_a_row_is_a_card_that_names_its_columns(page: Any, server: Server) -> None:
    page.goto(f"{server.url}/admin/messages/unrouted")
    row = page.get_by_role("row").filter(has_text="+1 202-555-0199")
    box = row.bounding_box()
    assert box["width"] <= PHONE["width"]
    titles = row.locator("[data-label]").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
    )
    assert titles[:3] == ['"Number"', '"Messages"', '"First"']
    button = row.get_by_role("link", name="Add to Message Settings").bounding_box()
    assert button["x"] + button["width"] <= PHONE["width"]


def test_a_number_is_switched_off_and_its_messages_have_the_button_that_helps(
    page: Any, server: Server
) -> None:
    page.goto(f"{server.url}/admin/message-settings")
    edit = page.get_by_role("heading", name="Edit selected numbers")
    assert not edit.is_visible()
    page.get_by_role("checkbox").nth(1).check()
    edit.wait_for()
    first = page.get_by_role("switch").first
    number = first.get_attribute("aria-label").removesuffix(" enabled")
    assert first.get_attribute("aria-checked") == "true"
    first.click()
    page.get_by_text(f"{number} is disabled now.").wait_for()
    plain = "+" + "".join(filter(str.isdigit, number))
    text = ("--from", "+13035550178", "--to", plain, "--text", "hello")
    assert server.flask("simulate", "sandbox", *text).returncode == 0
    page.goto(f"{server.url}/admin/messages/unrouted")
    page.get_by_role("button", name=f"Enable {plain}").click()
    page.get_by_text(f"{number} is enabled now.").wait_for()

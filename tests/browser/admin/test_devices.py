"""Pairing a phone: the operator's browser and the phone's browser together."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.admin.conftest import FACES, violations
from tests.server import Server


@pytest.mark.parametrize(("size", "scheme"), FACES)
def test_axe_finds_nothing(
    operator: Callable[..., Any], server: Server, size: str, scheme: str
) -> None:
    server.flask("devices", "add", "201", "--name", "A phone with quite a long name of its own")
    page = operator("/devices", size, scheme)
    page.get_by_text("Revoke", exact=True).first.click()
    assert violations(page) == []
    page.goto(f"{server.url}/admin/devices/pair")
    for kind in ("phone", "server", "acrobits"):
        page.get_by_label("Type of device").select_option(kind)
        page.get_by_label("Extension", exact=True).fill("201")
        page.get_by_label("Name").fill("Desk")
        page.locator("main button.primary").click()
        page.get_by_role("heading", name="For extension 201").wait_for()
        assert violations(page) == [], kind


def test_a_phone_is_paired_and_seen_at_once(
    operator: Callable[..., Any], open_page: Callable[..., Any], server: Server
) -> None:
    page = operator("/devices/pair")
    page.get_by_label("Extension").fill("203")
    page.get_by_role("button", name="Create code").click()
    link = page.locator("code").filter(has_text="#code=").inner_text()
    phone = open_page(link.removeprefix(server.url))
    phone.get_by_role("button", name="Connect").click()
    page.locator("#newest").get_by_text("of 203").wait_for()
    page.goto(f"{server.url}/admin/devices?extension=203")
    page.get_by_text("Revoke", exact=True).click()
    page.get_by_role("button", name="Revoke it").click()
    page.get_by_text("is refused from now on").wait_for()
    page.get_by_text("Extension 203 has no device").wait_for()

"""The page of opt-outs and blocked senders in a browser: axe finds nothing, and it fits a phone."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.admin.conftest import violations
from tests.browser.admin.test_phone_width import PHONE
from tests.server import Server

REASON = "Said so on the telephone, and asked twice whether it was written down"


@pytest.fixture(scope="module")
def known(server: Server) -> Server:
    """A server with an opt-out, one that was taken back, and a blocked sender."""
    for command in (
        ("optouts", "add", "+13035550178", "--reason", REASON),
        ("optouts", "remove", "+13035550178", "--reason", REASON),
        ("optouts", "add", "+13035550179", "--number", "+12025550143", "--reason", REASON),
        ("blocked", "add", "+13035550180"),
    ):
        done = server.flask(*command)
        assert done.returncode == 0, done.stderr
    return server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_any_width(
    operator: Callable[..., Any], known: Server, complaints: list[str], scheme: str
) -> None:
    page = operator("/opt-outs", scheme=scheme)
    for width, height in ((1280, 900), (820, 1180), (PHONE["width"], PHONE["height"])):
        page.set_viewport_size({"width": width, "height": height})
        for path in ("", "?all=1", "?person=%2B13035550179", "?person=nobody"):
            page.goto(f"{known.url}/admin/opt-outs{path}")
            for fold in page.locator("summary:visible").all():
                fold.click()
            assert violations(page) == [], (width, path)
    page.goto(f"{known.url}/admin/opt-outs?all=1")
    assert page.get_by_text(REASON).first.is_visible()
    complaints.clear()  # the page that says what is wrong answers 422

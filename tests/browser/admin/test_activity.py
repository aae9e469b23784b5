"""Statistics page in a browser: live charts, accessibility."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.admin.conftest import FACES, violations
from tests.server import Server


def simulate(server: Server, text: str) -> None:
    sent = server.flask(
        "simulate", "sandbox", "--from", "+13035550177", "--to", "+12025550100", "--text", text
    )
    assert sent.returncode == 0, sent.stderr


def test_a_text_is_drawn_by_itself_and_stands_in_the_table(
    operator: Callable[..., Any], server: Server, complaints: list[str]
) -> None:
    page = operator("/activity")
    page.get_by_role("heading", name="No messages yet").wait_for()
    simulate(server, "hello")
    for _ in range(40):
        if page.get_by_role("heading", name="Messages by carrier").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    picture = page.get_by_role("img", name="Messages by carrier in the last 24 hours")
    picture.wait_for()
    assert picture.bounding_box()["width"] > 600
    card = page.get_by_role("region", name="Messages by carrier").first
    card.get_by_text("As a table").click()
    assert "1" in card.get_by_role("table").inner_text()
    page.get_by_role("link", name="30 days").click()
    page.get_by_role("img", name="Messages by carrier in the last 30 days").wait_for()
    assert complaints == []


@pytest.mark.parametrize(("size", "scheme"), FACES)
def test_axe_finds_nothing(
    operator: Callable[..., Any], server: Server, size: str, scheme: str
) -> None:
    page = operator("/activity", size, scheme)
    for span in ("day", "week", "month"):
        page.goto(f"{server.url}/admin/activity?span={span}")
        for summary in page.get_by_text("As a table").all():
            summary.click()
        assert violations(page) == [], span

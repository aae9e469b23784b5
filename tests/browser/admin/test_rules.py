"""The page of rules in a browser: an example is added, completed and saved."""

from collections.abc import Callable
from typing import Any

from tests.browser.admin.conftest import violations

Open = Callable[..., Any]


def test_an_example_is_added_completed_and_saved(operator: Open) -> None:
    page = operator("/rules")
    page.get_by_role("button", name="A keyword with an answer").click()
    page.get_by_text("stands below the other rules").wait_for()
    assert violations(page) == []
    field = page.get_by_label("Rules, hours and groups (JSON)")
    page.set_viewport_size({"width": 390, "height": 760})
    field.fill(field.input_value().replace("1 Harbour Street", "2 Harbour Street"))
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The rules are saved, and in force.").wait_for()
    page.get_by_role("cell", name="2 Harbour Street, next to the bakery.").wait_for()

"""The page of message templates in a browser: a mistake is explained, and a template saved."""

from collections.abc import Callable
from typing import Any

from tests.browser.admin.conftest import violations

Open = Callable[..., Any]


def test_a_template_is_written_corrected_edited_and_removed(
    operator: Open, complaints: list[str]
) -> None:
    page = operator("/templates")
    page.get_by_label("Name").fill("Opening hours")
    page.get_by_label("Text", exact=True).fill("Hello {name}, we are open from 8 to 5.")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("There is no field “{name}”.").wait_for()
    assert violations(page) == []
    complaints.clear()  # the refusal, as the browser notes it
    page.get_by_label("Text", exact=True).fill("Hello {contact}, we are open from 8 to 5.")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("The template is saved.").wait_for()
    page.set_viewport_size({"width": 390, "height": 760})
    page.get_by_role("link", name="Edit Opening hours").click()
    assert page.get_by_label("Name").input_value() == "Opening hours"
    assert violations(page) == []
    page.get_by_text("Remove this template").click()
    page.get_by_role("button", name="Remove it").click()
    page.get_by_role("heading", name="No template").wait_for()

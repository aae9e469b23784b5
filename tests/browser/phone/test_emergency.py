"""Phone app in a browser: a text to an emergency number is refused, with a link that calls it."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import SHARED_NUMBER, write

Open = Callable[..., Any]


def test_a_text_to_an_emergency_number_shows_a_link_that_calls_it(
    phone: Open, complaints: list[str]
) -> None:
    page = phone()
    page.evaluate("address => (location.hash = address)", f"#/to/{SHARED_NUMBER}/911")
    page.locator(".composer textarea").wait_for()
    write(page, "There is a fire")
    page.get_by_text("Textbridge cannot send texts to emergency services. Call 911.").wait_for()
    link = page.get_by_role("link", name="Call 911", exact=True)
    assert link.get_attribute("href") == "tel:911"
    assert page.get_by_role("button", name="Try again").count() == 0
    page.get_by_role("button", name="Delete").click()
    link.wait_for(state="detached")
    assert all("422" in one for one in complaints)  # browsers report every answer that refuses
    complaints.clear()

"""From an empty installation to the first text and its answer, in the operator's browser."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import enter, write
from tests.server import Server


def test_from_nothing_to_the_first_text_and_its_answer(
    operator: Callable[..., Any], open_page: Callable[..., Any], server: Server
) -> None:
    admin_page = operator("/")
    step = admin_page.locator("[aria-current=step]")

    assert "The carrier's webhook was seen" in step.inner_text()
    outside = open_page("/sandbox")
    admin_page.get_by_role("link", name="Open the sandbox").wait_for()

    admin_page.get_by_role("link", name="Message Settings").click()
    admin_page.locator("main").get_by_role("link", name="Add a number").first.click()
    admin_page.get_by_label("Phone number").fill("(202) 555-0143")
    admin_page.get_by_label("Extensions", exact=True).fill("207")
    admin_page.get_by_role("button", name="Add", exact=True).click()
    admin_page.get_by_text("+1 202-555-0143").first.wait_for()

    admin_page.get_by_role("link", name="Devices").click()
    admin_page.get_by_role("link", name="Pair a device").first.click()
    admin_page.get_by_label("Extension", exact=True).fill("207")
    admin_page.get_by_role("button", name="Create code").click()
    link = admin_page.locator("code").filter(has_text="#code=").inner_text()
    phone = open_page(link.removeprefix(server.url))
    phone.get_by_role("button", name="Connect").click()
    phone.get_by_role("heading", name="Messages", exact=True).wait_for()

    sent = server.flask(
        "simulate", "sandbox", "--from", "+13035550188", "--to", "+12025550143", "--text", "Hello?"
    )
    assert sent.returncode == 0, sent.stderr
    enter(phone, "(303) 555-0188")
    write(phone, "Hello, this is 207.")

    admin_page.goto(f"{server.url}/admin/messages")
    admin_page.get_by_text("Hello, this is 207.").wait_for()
    admin_page.get_by_role("link", name="Hello, this is 207.").or_(
        admin_page.locator("tbody tr").filter(has_text="Hello, this is 207.").get_by_role("link")
    ).first.click()
    admin_page.get_by_role("heading", name="Delivery history").wait_for()

    admin_page.goto(f"{server.url}/admin/")
    admin_page.get_by_text("Everything is set up").wait_for()
    admin_page.get_by_text("Everything is well.").wait_for()
    outside.close()

"""People and contacts in the operator's pages, with keyboard and phone; axe finds nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.admin.conftest import FACES, violations
from tests.browser.admin.test_phone_width import PHONE
from tests.server import Server

CARD = "BEGIN:VCARD\r\nFN:Dora Example\r\nTEL:303-555-0199\r\nEND:VCARD\r\n"


@pytest.fixture(scope="module")
def known(server: Server) -> Server:
    """A server with an extension that has a name and a device, and a contact."""
    entry = ("settings", "set", "+12025550143", "--carrier", "sandbox", "--extension", "201")
    for command in (
        entry,
        ("extensions", "name", "201", "Ann Example with quite a long name of her own"),
        ("devices", "add", "201", "--name", "Phone"),
        ("contacts", "set", "+13035550177", "Bob Miller", "--note", "Likes tea"),
    ):
        assert server.flask(*command).returncode == 0
    return server


@pytest.mark.parametrize(("size", "scheme"), FACES)
def test_axe_finds_nothing(
    operator: Callable[..., Any], known: Server, size: str, scheme: str
) -> None:
    page = operator("/people", size, scheme)
    for path in ("/people", "/people/201", "/contacts?edit=%2B13035550177", "/contacts/import"):
        page.goto(f"{known.url}/admin{path}")
        assert violations(page) == [], path


def test_a_person_is_renamed_and_paired(operator: Callable[..., Any], known: Server) -> None:
    page = operator("/people")
    page.set_viewport_size(PHONE)
    page.get_by_role("link", name="Ann Example").click()
    page.get_by_label("Name").fill("Anna Example")
    page.keyboard.press("Enter")
    page.get_by_text("Extension 201 is Anna Example now.").wait_for()
    page.get_by_role("button", name="Create pairing code").click()
    page.get_by_role("heading", name="For extension Anna Example (201)").wait_for()
    page.goto(f"{known.url}/admin/people?q=anna")
    row = page.get_by_role("row").filter(has_text="Anna Example")
    assert row.bounding_box()["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_contacts_are_imported(operator: Callable[..., Any], known: Server, tmp_path: Path) -> None:
    file = tmp_path / "contacts.vcf"
    file.write_text(CARD, "utf-8")
    page = operator("/contacts")
    page.get_by_role("link", name="Import").click()
    page.locator("#f-file").set_input_files(file)
    page.get_by_role("button", name="Preview changes").click()
    page.get_by_text("1 contact added").wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="Import 1 contact").click()
    page.get_by_text("Imported: 1 contact added, 0 changed.").wait_for()
    page.get_by_role("row").filter(has_text="Dora Example").wait_for()
    page.get_by_label("Search").fill("tea")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Edit Bob Miller").click()
    assert page.get_by_label("Note").input_value() == "Likes tea"

"""Message Settings in a browser: from no number to many, with and without scripts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.operations.settings_source import FILE
from tests.browser.admin.conftest import ADMIN, FACES, violations
from tests.conftest import settings_file
from tests.server import Server
from tests.waiting import PATIENCE

Open = Callable[..., Any]
PAGE = "/admin/message-settings"
NUMBERS = [
    {
        "number": f"+1202555{100 + i:04}",
        "carrier": "twilio" if i == 3 else "sandbox",
        "extensions": [str(200 + i), "250"] if i != 5 else [],
        "emails": [f"somebody{i}@example.com"] if i % 3 == 0 else [],
        "description": ["Front desk", "Sales and support", "<b>Workshop</b> 🔧"][i % 3],
        "sender_id": "ACME" if i == 2 else None,
        "enabled": i != 4,
    }
    for i in range(8)
]


def write(server: Server, *numbers: dict[str, Any]) -> None:
    (server.storage / FILE).write_text(settings_file(*numbers), "utf-8")


def csv_file(tmp_path: Path) -> str:
    """A file with a new number, a changed one and one that is refused."""
    file = tmp_path / "numbers.csv"
    file.write_text(
        "Phone Number,Assigned Extension,Carrier,Color\n"
        '(202) 555-0177,301,sandbox,red\n2025550100,"205, 206",,\nnonsense,2/3,carrot,\n',
        "utf-8",
    )
    return str(file)


@pytest.mark.parametrize(("size", "scheme"), FACES)
def test_axe_finds_nothing(
    operator: Open, complaints: list[str], server: Server, size: str, scheme: str, tmp_path: Path
) -> None:
    write(server)
    page = operator("/message-settings", size, scheme)

    def look(name: str) -> None:
        assert violations(page) == [], name

    page.get_by_text("No number yet").wait_for()
    look("empty")
    write(server, *NUMBERS)
    page.reload()
    page.get_by_label("Choose all on this page").check()
    page.locator("summary", has_text="Remove").click()
    look("table")
    page.goto(f"{server.url}{PAGE}?q=zzz")
    look("nothing")
    page.goto(f"{server.url}{PAGE}/new")
    look("new")
    page.get_by_label("Phone number").fill("12")
    page.get_by_label("E-mails").fill("nobody")
    page.get_by_role("button", name="Add").click()
    look("wrong")
    page.goto(f"{server.url}{PAGE}/+12025550100")
    page.get_by_label("Description").fill("Mine")
    write(server, {**NUMBERS[0], "description": "Theirs"}, *NUMBERS[1:])
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else").wait_for()
    look("conflict")
    page.goto(f"{server.url}{PAGE}/import")
    look("import")
    page.get_by_label("File", exact=True).set_input_files(csv_file(tmp_path))
    page.get_by_role("button", name="Preview changes").click()
    page.get_by_text("1 refused").wait_for()
    look("preview")
    (server.storage / FILE).write_text('{"numbers": [\n', "utf-8")
    page.goto(f"{server.url}{PAGE}")
    page.get_by_text("line 2, column 1").wait_for()
    look("broken")
    write(server)
    complaints[:] = [said for said in complaints if "422" not in said and "409" not in said]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_from_no_number_to_many(
    browser: Any, server: Server, tmp_path: Path, scripts: bool
) -> None:
    write(server)
    window = browser.new_context(java_script_enabled=scripts, accept_downloads=True)
    page = window.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(f"{server.url}{PAGE}")
    page.get_by_label("Password").fill(ADMIN["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Add a number").first.click()
    page.get_by_label("Phone number").fill("(202) 555-0143")
    page.get_by_label("Extensions").fill("201 202")
    page.get_by_label("Description").fill("Front desk")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("+1 202-555-0143 was added.").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    file = tmp_path / "numbers.csv"
    download.value.save_as(file)
    lines = file.read_text("utf-8-sig")
    assert lines.endswith("Front desk,yes,\n")
    file.write_text(lines + "2025550144,sandbox,203,,,Sales,yes,\n", "utf-8")
    page.get_by_role("link", name="Import").click()
    page.get_by_label("File", exact=True).set_input_files(str(file))
    page.get_by_role("button", name="Preview changes").click()
    page.get_by_text("1 number added").wait_for()
    page.get_by_role("button", name="Import").click()
    page.get_by_text("Imported: 1 number added").wait_for()
    if scripts:
        page.get_by_label("Choose all on this page").check()
    else:
        for box in page.get_by_role("checkbox").all():
            box.check()
    page.get_by_label("Add extensions").fill("300")
    page.get_by_label("Add extensions").press("Enter")
    page.get_by_text("2 numbers were changed.").wait_for()
    kept = json.loads((server.storage / FILE).read_text("utf-8"))["numbers"]
    assert [entry["extensions"] for entry in kept] == [["201", "202", "300"], ["203", "300"]]
    page.get_by_label("Search").fill("sales")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("switch", name="+1 202-555-0144 enabled").click()
    page.get_by_text("+1 202-555-0144 is disabled now.").wait_for()
    page.get_by_role("link", name="+1 202-555-0144").click()
    page.locator("summary", has_text="Remove this number").click()
    page.get_by_role("button", name="Remove it").click()
    page.get_by_text("+1 202-555-0144 was removed.").wait_for()
    kept = json.loads((server.storage / FILE).read_text("utf-8"))["numbers"]
    assert [entry["number"] for entry in kept] == ["+12025550143"]
    window.close()

"""Names of colleagues in the phone app; contacts with notes, from files and into files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.admin.conftest import violations
from tests.browser.phone.world import SHARED_NUMBER, World, enter, row, said, spoken
from tests.server import Server

Open = Callable[..., Any]
CARDS = (
    "BEGIN:VCARD\r\nFN:Ann Example\r\nTEL:{known}\r\nNOTE:VIP\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:2.1\r\nN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:Lange;J=C3=B6rg\r\n"
    "TEL;CELL:{new}\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Odd\r\nTEL:#31#\r\nEND:VCARD\r\n"
)


def test_names_of_people_stand_where_extensions_did(
    phone: Open, world: World, server: Server
) -> None:
    for extension, name in (("201", "Ann Example"), ("202", "Bob <i>Miller</i>")):
        assert server.flask("extensions", "name", extension, name).returncode == 0
    peer, page = world.peer(), phone()
    world.text(peer, "Who is there?")
    enter(page, spoken(peer))
    asked = {"to": peer, "from": SHARED_NUMBER, "text": "It is me"}
    world.api("POST", "/messages", "202", json=asked)
    said(page, "It is me").get_by_text("Bob <i>Miller</i>").wait_for()
    row(page, spoken(peer)).get_by_text("Bob <i>Miller</i>: It is me").wait_for()
    page.locator(".talk-title").click()
    choice = page.get_by_label("Person who answers")
    assert choice.locator("option").all_inner_texts()[:2] == ["Nobody", "Ann Example (yours)"]
    choice.select_option(label="Bob <i>Miller</i>")
    page.get_by_role("button", name="Hand over").click()
    page.locator(".talk-under", has_text="Bob <i>Miller</i> answers").wait_for()
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("dialog").get_by_text("Ann Example").wait_for()
    page.get_by_role("dialog").get_by_text("Extension 201").wait_for()


def test_a_contact_has_a_note(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    page.get_by_role("button", name="Add a name").click()
    sheet = page.get_by_role("dialog", name="Contact")
    sheet.get_by_label("Name").fill("Cy Example")
    sheet.get_by_label("Note").fill("Likes tea\nnot coffee")
    assert violations(page) == []
    sheet.get_by_role("button", name="Save").click()
    row(page, "Cy Example").wait_for()
    other = phone("202")
    enter(other, "Cy Example")
    other.locator(".talk-title").click()
    assert other.get_by_label("Note").input_value() == "Likes tea\nnot coffee"


def test_contacts_are_imported_and_exported(
    phone: Open, world: World, tmp_path: Path, complaints: list[str]
) -> None:
    known, new = world.peer(), world.peer()
    world.api("PUT", f"/contacts/{known}", json={"name": "Dr. Ann"})
    page = phone(viewport={"width": 390, "height": 844})
    file = tmp_path / "contacts.vcf"
    file.write_text(CARDS.format(known=known, new=new), "utf-8")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("File with contacts").set_input_files(file)
    sheet = page.get_by_role("dialog", name="Import contacts")
    sheet.get_by_text("1 new contact").wait_for()
    sheet.get_by_text("1 entry is skipped").wait_for()
    sheet.get_by_text("What is left out, and why").click()
    sheet.get_by_text("“#31#” is not a phone number").wait_for()
    sheet.get_by_text("It is “Dr. Ann” already, which stays.").wait_for()
    assert violations(page) == []
    sheet.get_by_label("Replace contacts that are there").check()
    sheet.get_by_text("1 contact is changed").wait_for()
    sheet.get_by_role("button", name="Import").click()
    sheet.wait_for(state="detached")
    names = {c["number"]: c["name"] for c in world.api("GET", "/contacts")["items"]}
    assert (names[known], names[new]) == ("Ann Example", "Jörg Lange")
    with page.expect_download() as loaded:
        page.get_by_role("button", name="Export as CSV").click()
    assert loaded.value.suggested_filename == "contacts.csv"
    assert f"{new},Jörg Lange," in Path(loaded.value.path()).read_text("utf-8-sig")
    file.write_text("nothing in it", "utf-8")
    page.get_by_label("File with contacts").set_input_files(file)
    page.get_by_text("The first line must name the columns").wait_for()
    assert all("422" in one for one in complaints)  # the browser's word for the last file
    complaints.clear()

"""Contacts page: added, edited, removed, searched, imported with a preview, exported."""

import io
import re
from html import unescape

import pytest

from services.messaging import device_limits
from services.operations import contact_files
from services.store import contacts
from services.store.contacts import Contact
from tests.admin.conftest import Operator, plain
from tests.conftest import PEER

CARDS = """BEGIN:VCARD\r\nVERSION:3.0\r\nN:Example;Ann\r\nFN:Ann Example\r\nTEL:303-555-0177\r
TEL:(303) 555-0178\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Mail only\r\nEND:VCARD\r
BEGIN:VCARD\r\nFN:Bob\r\nTEL:#31#\r\nEND:VCARD\r\n"""
HOSTILE = "<script>alert(1)</script>"


def known(operator: Operator) -> list[Contact]:
    return operator.gateway.store.read(contacts.all_contacts)


def preview(operator: Operator, content: bytes, status: int = 200, **fields: str) -> str:
    file = (io.BytesIO(content), "contacts.vcf")
    data = {"csrf": operator.key(), "file": file, **fields}
    answer = operator.client.post("/admin/contacts/import", data=data)
    assert answer.status_code == status, answer.text
    return answer.text


def sheet(page: str) -> str:
    found = re.search(r'name="sheet" value="([^"]+)"', page)
    assert found
    return unescape(found[1])


def test_a_contact_is_added_edited_and_removed(operator: Operator) -> None:
    assert "No contact yet" in plain(operator.get("/contacts"))
    page = operator.post("/contacts", number="303 555 0177", name=" Ann ", note="VIP\r\nMondays")
    assert "Ann is saved." in plain(page)
    assert known(operator) == [Contact(PEER, "Ann", "VIP\nMondays")]
    again = operator.post("/contacts", 422, number=PEER, name="Eve")
    assert "is “Ann” already" in plain(again)
    assert "Ann" in operator.get(f"/contacts?edit={PEER.replace('+', '%2B')}")
    operator.post("/contacts", known=PEER, name=HOSTILE, note="")
    assert known(operator) == [Contact(PEER, HOSTILE)]
    assert HOSTILE not in operator.get("/contacts?q=script")
    assert HOSTILE in plain(operator.get("/contacts?q=0177"))
    assert "No match" in plain(operator.get("/contacts?q=nobody"))
    operator.post("/contacts", do="remove", known=PEER)
    assert known(operator) == []


def test_what_is_no_contact_is_refused(operator: Operator) -> None:
    for fields, words in (
        ({"number": "?", "name": "Ann"}, "is not a phone number"),
        ({"number": PEER, "name": " "}, "1 to 100 characters"),
        ({"number": PEER, "name": "Ann", "note": "x" * 1001}, "up to 1,000 characters"),
    ):
        assert words in plain(operator.post("/contacts", 422, **fields))
    assert known(operator) == []


def test_a_file_is_previewed_and_imported(operator: Operator) -> None:
    operator.post("/contacts", number=PEER, name="Dr. Ann")
    page = preview(operator, CARDS.encode())
    shown = plain(page)
    assert "1 contact added" in shown
    assert "It is “Dr. Ann” already, which stays." in shown
    assert "It has no phone number." in shown
    assert "“#31#” is not a phone number" in shown
    assert len(known(operator)) == 1
    done = operator.post("/contacts/import/apply", sheet=sheet(page))
    assert "Imported: 1 contact added, 0 changed." in plain(done)
    second = Contact("+13035550178", "Ann Example")
    assert known(operator) == [Contact(PEER, "Dr. Ann"), second]
    page = preview(operator, CARDS.encode(), replace="1")
    assert "Dr. Ann → Ann Example" in plain(page)
    operator.post("/contacts/import/apply", sheet=sheet(page), replace="1")
    assert known(operator) == [Contact(PEER, "Ann Example"), second]
    assert "There is nothing to import" in plain(preview(operator, CARDS.encode()))


def test_a_large_file_is_refused(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_files, "MOST_BYTES", len(CARDS) - 1)
    assert "Export without photographs" in plain(preview(operator, CARDS.encode(), 422))
    monkeypatch.setattr(contact_files, "MOST_BYTES", len(CARDS))
    monkeypatch.setattr(contact_files, "MOST_LINES", 3)
    assert "more than 3 numbers" in plain(preview(operator, CARDS.encode(), 422))
    monkeypatch.setattr(device_limits, "MOST_CONTACTS", 1)
    monkeypatch.setattr(contact_files, "MOST_LINES", 4)
    assert "keeps 1 contacts at most" in plain(preview(operator, CARDS.encode()))


def test_odd_files_are_refused(operator: Operator) -> None:
    for content, words in (
        (b"", "must name the columns"),
        (b"number,name\n", "There is no contact"),
        (b"\x00\xff\xfe", "CSV UTF-8"),
        (b"BEGIN:VCARD\r\nEND:VCARD", "nothing to import"),
        (b"number,name\n1,2,3\n", "It has 3 cells and the first line 2"),
    ):
        status = 200 if words.startswith(("nothing", "It has")) else 422
        assert words in plain(preview(operator, content, status))
    for odd in ("", "x", "eJw=", "é"):
        assert "upload was incomplete" in plain(
            operator.post("/contacts/import/apply", 422, sheet=odd)
        )
    assert known(operator) == []


def test_exports_are_read_again(operator: Operator) -> None:
    operator.post("/contacts", number=PEER, name="=1+1, Ann; \\n", note="Line 1\nLine, 2")
    operator.post("/contacts", number="72404", name="Παρσελς 📦" * 9)
    before = known(operator)
    csv = operator.client.get("/admin/contacts.csv")
    assert "'=1+1, Ann" in csv.text
    cards = operator.client.get("/admin/contacts.vcf")
    assert all(len(line) <= 75 for line in cards.data.split(b"\r\n"))
    for content in (csv.data, cards.data):
        for one in before:
            operator.post("/contacts", do="remove", known=one.number)
        operator.post("/contacts/import/apply", sheet=sheet(preview(operator, content)))
        assert known(operator) == before

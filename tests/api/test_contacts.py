"""Contacts in the API: one list of names for the whole installation."""

import io
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from services.messaging import device_limits
from tests.api.conftest import PEER, Phone, Service


def test_a_name_is_given_changed_and_taken_away(service_on_each_database: Service) -> None:
    phone, other = service_on_each_database.pair("201"), service_on_each_database.pair("202")
    assert phone.read("/contacts") == {"items": []}
    for name in ("Ann", "Ann Example 🌉"):
        answer = phone.call("PUT", f"/contacts/{quote('(303) 555-0177')}", json={"name": name})
        wanted = {"number": PEER, "name": name, "note": ""}
        assert (answer.status_code, answer.json) == (200, wanted)
    phone.call("PUT", "/contacts/72404", json={"name": "Parcels"})
    names = [(c["number"], c["name"]) for c in other.read("/contacts")["items"]]
    assert names == [(PEER, "Ann Example 🌉"), ("72404", "Parcels")]
    assert other.call("DELETE", f"/contacts/{quote(PEER)}").status_code == 204
    assert other.call("DELETE", f"/contacts/{quote(PEER)}").status_code == 404
    assert [c["number"] for c in phone.read("/contacts")["items"]] == ["72404"]


@pytest.mark.parametrize(
    ("number", "asked", "field"),
    [
        (PEER, {}, "name"),
        (PEER, {"name": ""}, "name"),
        (PEER, {"name": "x" * 101}, "name"),
        (PEER, {"name": None}, "name"),
        (PEER, {"name": "\u200b\u202e"}, "name"),
        (PEER, {"name": "Ann", "colour": "red"}, "colour"),
        ("+1", {"name": "Ann"}, "number"),
        ("?", {"name": "Ann"}, "number"),
    ],
)
def test_what_is_no_contact_is_refused(
    service: Service, number: str, asked: dict[str, str], field: str
) -> None:
    answer = service.pair("201").call("PUT", f"/contacts/{quote(number)}", json=asked)
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert service.pair("201").read("/contacts") == {"items": []}


def test_a_name_cannot_turn_the_text_around_it(phone: Phone) -> None:
    phone.call("PUT", f"/contacts/{quote(PEER)}", json={"name": "\u202egnp"})
    card = "BEGIN:VCARD\r\nFN:{}\r\nTEL:{}\r\nEND:VCARD\r\n"
    cards = card.format("Bob\u2066", "303-555-0178") + card.format("\u200b", "303-555-0179")
    answer = upload(phone, cards.encode())
    assert answer.json["refused"] == 1
    assert [one["name"] for one in phone.read("/contacts")["items"]] == ["\ufffdgnp", "Bob\ufffd"]


CARDS = (
    "BEGIN:VCARD\r\nFN:Ann Example\r\nTEL:303-555-0177\r\nNOTE:VIP\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nFN:Bob\r\nTEL:303-555-0178\r\nTEL:*100#\r\nEND:VCARD\r\n"
)


def upload(phone: Phone, content: bytes, **query: str) -> TestResponse:
    file = (io.BytesIO(content), "contacts.vcf")
    return phone.call("POST", "/contacts/import", data={"file": file}, query_string=query)


def test_a_note_stays_where_only_the_name_is_changed(phone: Phone) -> None:
    address = f"/contacts/{quote(PEER)}"
    phone.call("PUT", address, json={"name": "Ann", "note": "VIP"})
    answer = phone.call("PUT", address, json={"name": "Ann Example"})
    assert answer.json == {"number": PEER, "name": "Ann Example", "note": "VIP"}
    phone.call("PUT", address, json={"name": "Ann Example", "note": ""})
    assert phone.read("/contacts")["items"][0]["note"] == ""
    refused = phone.call("PUT", address, json={"name": "Ann", "note": "x" * 1001})
    assert (refused.status_code, refused.json["field"]) == (422, "note")


def test_a_file_is_imported_after_a_dry_run(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    phone.call("PUT", f"/contacts/{quote(PEER)}", json={"name": "Dr. Ann"})
    told = upload(phone, CARDS.encode(), dry_run="1").json
    counts = {name: told[name] for name in ("added", "changed", "skipped", "refused")}
    assert counts == {"added": 1, "changed": 0, "skipped": 1, "refused": 1}
    assert [(line["line"], line["outcome"]) for line in told["lines"]] == [
        (1, "skipped"),
        (6, "refused"),
        (6, "added"),
    ]
    assert len(phone.read("/contacts")["items"]) == 1
    assert upload(phone, CARDS.encode()).json["added"] == 1
    assert upload(phone, CARDS.encode(), replace="true").json["changed"] == 1
    assert phone.read("/contacts")["items"] == [
        {"number": PEER, "name": "Ann Example", "note": "VIP"},
        {"number": "+13035550178", "name": "Bob", "note": ""},
    ]
    csv = phone.get("/contacts/export?format=csv")
    assert csv.text.splitlines()[1] == "+13035550177,Ann Example,VIP"
    cards = phone.get("/contacts/export")
    assert (cards.content_type, cards.text.count("BEGIN:VCARD")) == ("text/vcard; charset=utf-8", 2)
    assert upload(phone, cards.data).json["unchanged"] == 2
    assert upload(phone, csv.data).json["unchanged"] == 2


def test_files_are_refused_and_counted(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b"what,else\n1,2\n", b"number,name\n", b'number,name\n"1,2\n'):
        answer = upload(phone, content)
        assert (answer.status_code, answer.json["field"]) == (422, "file")
    assert phone.get("/contacts/export?format=xml").status_code == 422
    few = device_limits.DeviceLimit("contact imports", "import contacts {most} times", ((4, 60.0),))
    monkeypatch.setattr("blueprints.api.contacts.CONTACT_IMPORTS", few)
    assert upload(phone, CARDS.encode(), dry_run="1").status_code == 200
    assert upload(phone, CARDS.encode()).status_code == 429
    assert phone.read("/contacts")["items"] == []


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (  # Google Contacts
            "First Name,Middle Name,Last Name,Organization Name,Notes,Phone 1 - Label,"
            "Phone 1 - Value,Phone 2 - Value\n"
            'Ann,,Example,Harbour,"Tea, please",Mobile,303-555-0177 ::: 303-555-0178,303-555-0179\n'
            ",,,Harbour,,,303-555-0180,\n",
            [
                (PEER, "Ann Example", "Tea, please"),
                ("+13035550178", "Ann Example", "Tea, please"),
                ("+13035550179", "Ann Example", "Tea, please"),
                ("+13035550180", "Harbour", ""),
            ],
        ),
        (  # Outlook, with semicolons
            "First Name;Last Name;Mobile Phone;Business Phone\nAnn;Example;303-555-0177;\n",
            [(PEER, "Ann Example", "")],
        ),
        ("NUMBER\tName\n'+13035550177\t'=Ann\n", [(PEER, "=Ann", "")]),
        ("number,name\n303-555-0177,Ann\n+13035550177,Eve\n", [(PEER, "Ann", "")]),
    ],
)
def test_csv_of_other_programs_is_read(
    phone: Phone, content: str, wanted: list[tuple[str, str, str]]
) -> None:
    assert upload(phone, content.encode()).status_code == 200
    found = [(c["number"], c["name"], c["note"]) for c in phone.read("/contacts")["items"]]
    assert found == wanted


def test_an_import_of_all_or_none_looks_at_the_list_of_that_moment(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, book = service.pair("201"), service.gateway.contact_book
    content = b"number,name\n+13035550177,Ann\n+13035550178,Bob\n"
    monkeypatch.setattr(device_limits, "MOST_CONTACTS", 2)
    assert book.preview(content, replace=True).counts["refused"] == 0
    phone.call("PUT", "/contacts/72404", json={"name": "Parcels"})  # meanwhile
    plan = book.import_file(content, replace=True, stops_if_refused=True)
    assert plan.counts["refused"] == 1
    assert [one["name"] for one in phone.read("/contacts")["items"]] == ["Parcels"]
    book.import_file(content, replace=True)
    assert [one["name"] for one in phone.read("/contacts")["items"]] == ["Ann", "Parcels"]

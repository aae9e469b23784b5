"""Contacts in the API: one list of names for the whole installation."""

from urllib.parse import quote

import pytest

from tests.api.conftest import PEER, Service


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

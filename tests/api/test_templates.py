"""Message templates in the API: offered to an extension, filled in; edited by the operator."""

from collections.abc import Callable
from typing import Any

import pytest

from services.store import contacts
from services.store.contacts import Contact
from tests.api.conftest import PEER, SHARED, THEIRS, Phone, Service
from tests.api.test_message_settings import PASSWORD, Script

HELLO = {"name": "Hello", "text": "Hello {contact}, {extension} here: {number}."}
OURS = {"name": "Ours", "text": "Only for 201.", "extensions": ["201"]}


@pytest.fixture
def script(make_service: Callable[..., Service]) -> Script:
    service = make_service(ADMIN_PASSWORD=PASSWORD)
    service.gateway.settings.put_sections({"extensions": {"201": {"name": "Bob"}}})
    service.gateway.settings.put_templates([HELLO, OURS])
    ann = Contact(PEER, "Ann")
    service.gateway.store.write(lambda tx: contacts.put(tx, ann))
    return Script(service)


def hello(phone: Phone, **query: Any) -> str:
    """The first template, filled in."""
    return str(phone.read("/templates", **query)["items"][0]["filled"])


def test_an_extension_gets_its_own_and_those_for_all(script: Script) -> None:
    first, second = script.service.pair("201"), script.service.pair("202")
    told = first.read("/templates")["items"]
    assert [one["name"] for one in told] == ["Hello", "Ours"]
    assert told[0]["text"] == HELLO["text"]
    assert told[0]["filled"] == "Hello, Bob here: (202) 555-0101."
    assert [one["name"] for one in second.read("/templates")["items"]] == ["Hello"]
    assert hello(second) == "Hello, 202 here: (202) 555-0102."


def test_they_are_filled_in_for_a_conversation(script: Script) -> None:
    phone = script.service.pair("201")
    script.service.receive(to=SHARED)
    script.service.receive(to=SHARED, **{"from": "+13035550999"})
    found = {one["peer"]: one["id"] for one in phone.read("/conversations")["items"]}
    known = hello(phone, conversation_id=found[PEER])
    assert known == "Hello Ann, Bob here: (202) 555-0103."
    assert hello(phone, conversation_id=found["+13035550999"]).startswith("Hello, Bob")


def test_they_are_filled_in_for_what_may_become_a_conversation(script: Script) -> None:
    phone = script.service.pair("201")
    assert hello(phone, to=PEER[2:]) == "Hello Ann, Bob here: (202) 555-0101."
    assert hello(phone, to=f"whatsapp:{PEER}", **{"from": SHARED}) == (
        "Hello Ann, Bob here: (202) 555-0103."
    )


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"conversation_id": "01a1f912-29fd-798d-b9d5-d4199fe17a55"}, 404, "not_found"),
        ({"conversation_id": "1"}, 422, "invalid"),
        ({"from": THEIRS}, 403, "number_not_yours"),
        ({"from": "12"}, 422, "invalid_number"),
        ({"to": "555-0143"}, 422, "invalid_number"),
        ({"to": ""}, 422, "invalid"),
        ({"to": "x"}, 422, "not_dialable"),
        ({"to": ["+13035550177", "+13035550188"]}, 422, "one_only"),
        ({"colour": "red"}, 422, "invalid"),
    ],
)
def test_what_is_refused(script: Script, query: dict[str, Any], status: int, code: str) -> None:
    answer: Any = script.service.pair("201").get("/templates", query_string=query)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_a_conversation_of_others_is_not_there(script: Script) -> None:
    script.service.receive(to=THEIRS)
    (theirs,) = script.service.pair("202").read("/conversations")["items"]
    answer = script.service.pair("201").get(
        "/templates", query_string={"conversation_id": theirs["id"]}
    )
    assert answer.status_code == 404


def test_an_extension_without_a_number_has_them_too(script: Script) -> None:
    assert hello(script.service.pair("209")) == "Hello, 209 here."


def test_the_operator_replaces_them_as_a_whole(script: Script) -> None:
    before = script.call("GET", "/templates")
    assert before.json == {"templates": [HELLO, OURS]}
    tag = before.headers["ETag"]
    made = script.call("PUT", "/templates", tag, json={"templates": [OURS]})
    assert (made.status_code, made.json) == (200, {"templates": [OURS]})
    assert made.headers["ETag"] != tag
    stale = script.call("PUT", "/templates", tag, json={"templates": []})
    assert (stale.status_code, stale.json["code"]) == (412, "stale")
    assert script.call("GET", "/rules").json["extensions"] == {"201": {"name": "Bob"}}
    script.call("PUT", "/rules", json={})
    assert script.call("GET", "/templates").json == {"templates": [OURS]}
    assert script.call("PUT", "/templates", json={"templates": []}).json == {"templates": []}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"templates": [OURS, {"name": "A", "text": "{foo}"}]}, "templates[1].text"),
        ({"templates": [OURS, OURS]}, "templates[1].name"),
        ({"templates": [{"name": "A", "text": "a\x07"}]}, "templates[0].text"),
        ({"templates": [OURS | {"extensions": ["210-201"]}]}, "templates[0].extensions[0]"),
        ({"templates": [{"name": "A"}]}, "templates[0].text"),
        ({"templates": {}}, "templates"),
        ({}, "templates"),
        ({"templates": [OURS] * 201}, "templates"),
    ],
)
def test_wrong_ones_are_refused(script: Script, wrong: Any, field: str) -> None:
    answer = script.call("PUT", "/templates", json=wrong)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert answer.json["field"] == field
    assert script.call("GET", "/templates").json == {"templates": [HELLO, OURS]}

"""Texts in and answers out, from webhook to carrier, through the API."""

import json
from collections.abc import Callable

import pytest

from services.core.messages import Message, message_object
from services.store import jobs
from services.store.jobs import JobKind
from tests.api.conftest import MINE, PEER, SHARED, THEIRS, Phone, Service
from tests.conftest import settings_file


def test_a_text_reaches_the_app_and_the_answer_goes_back(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    token = phone.read("/me")["sync_token"]

    service_on_each_database.receive(text="Is the shop open?")
    (conversation,) = phone.read("/conversations")["items"]
    assert (conversation["number"], conversation["peer"]) == (MINE, PEER)
    assert conversation["unread_count"] == 1
    assert conversation["last_message"]["text"] == "Is the shop open?"

    (received,) = phone.read(f"/conversations/{conversation['id']}/messages")["items"]
    assert received == conversation["last_message"]
    assert (received["direction"], received["from"], received["to"]) == ("in", PEER, [MINE])

    sent = phone.send(conversation_id=conversation["id"], text="Until six.", client_id="c1")
    assert (sent["direction"], sent["from"], sent["to"]) == ("out", MINE, [PEER])
    assert (sent["status"], sent["segments"], sent["sent_by"]) == ("queued", 1, "201")
    assert (
        service_on_each_database.gateway.store.read(
            lambda tx: jobs.count_open(tx, sent["id"], JobKind.SEND)
        )
        == 1
    )

    read = phone.post(f"/conversations/{conversation['id']}/read", {"up_to_seq": received["seq"]})
    assert read.json == {"read_seq": received["seq"], "unread_count": 0}

    service_on_each_database.webhook({"receipt": sent["id"], "status": "delivered"})
    assert phone.read(f"/messages/{sent['id']}")["status"] == "delivered"

    happened = phone.read("/sync", since=token)
    assert [(e["type"], e.get("message", {}).get("id")) for e in happened["events"]] == [
        ("message.created", received["id"]),
        ("conversation.read", None),
        ("message.created", sent["id"]),
    ]
    assert phone.read("/sync", since=happened["next"])["events"] == []


def test_a_shared_number_is_one_inbox_with_a_read_mark_for_each(service: Service) -> None:
    one, two = service.pair("201"), service.pair("202")
    service.receive(to=SHARED)
    (conversation,) = one.read("/conversations")["items"]
    one.post(f"/conversations/{conversation['id']}/read", {"up_to_seq": 1})
    assert one.read("/conversations")["items"][0]["unread_count"] == 0
    assert two.read("/conversations")["items"][0]["unread_count"] == 1
    two.send(conversation_id=conversation["id"], text="I am on it")
    assert one.read("/conversations")["items"][0]["last_message"]["sent_by"] == "202"


def test_me_says_what_the_extension_may_do(service: Service, phone: Phone) -> None:
    me = phone.read("/me")
    assert (me["extension"], me["device"]["id"], me["device"]["current"]) == ("201", phone.id, True)
    assert [(n["number"], n["default"], n["description"]) for n in me["numbers"]] == [
        (MINE, True, "Front desk"),
        (SHARED, False, ""),
    ]
    assert all(number["sms"] and number["mms"] for number in me["numbers"])
    assert me["limits"]["max_text"] > me["numbers"][0]["limits"]["max_text"]
    assert me["sync_token"] == "0"


def test_a_number_whose_carrier_is_off_is_shown_but_cannot_send(
    service: Service, phone: Phone
) -> None:
    path = service.gateway.environment.service.storage_path / "message_settings.json"
    path.write_text(
        settings_file({"number": MINE, "carrier": "bandwidth", "extensions": ["201"]}), "utf-8"
    )
    (number,) = phone.read("/me")["numbers"]
    assert (number["sms"], number["mms"], number["limits"]) == (False, False, None)
    answer = phone.post("/messages", {"to": PEER, "text": "hi"})
    assert (answer.status_code, answer.json["code"]) == (409, "carrier_off")


def test_message_settings_count_at_once(service: Service, phone: Phone) -> None:
    service.receive()
    (conversation,) = phone.read("/conversations")["items"]
    message = conversation["last_message"]
    phone.post(f"/conversations/{conversation['id']}/read", {"up_to_seq": message["seq"]})
    assert len(phone.read("/sync", since="0")["events"]) == 2
    service.gateway.settings.put({"number": MINE, "carrier": "sandbox", "extensions": ["202"]})
    assert phone.read("/conversations")["items"] == []
    assert phone.get(f"/conversations/{conversation['id']}").status_code == 404
    assert phone.get(f"/messages/{message['id']}").status_code == 404
    assert phone.read("/sync", since="0")["events"] == []
    moved = service.pair("202").read(f"/conversations/{conversation['id']}")
    assert moved["last_message"]["id"] == message["id"]


def test_an_extension_without_a_number_is_refused_with_the_reason(service: Service) -> None:
    lonely = service.pair("299")
    assert lonely.read("/me")["numbers"] == []
    assert lonely.read("/conversations") == {"items": [], "next_cursor": None}
    answer = lonely.post("/messages", {"to": PEER, "text": "hi"})
    assert (answer.status_code, answer.json["code"]) == (403, "no_number")
    assert "Message Settings" in answer.json["detail"]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"to": PEER}, MINE),
        ({"to": [PEER], "from": SHARED}, SHARED),
        ({"to": "(303) 555-0177", "from": "202-555-0103"}, SHARED),
    ],
)
def test_a_message_leaves_from_the_named_or_the_default_number(
    phone: Phone, asked: dict[str, str], number: str
) -> None:
    sent = phone.send(**asked)
    assert (sent["from"], sent["to"]) == (number, [PEER])


def test_a_number_of_others_cannot_be_sent_from_whether_it_exists_or_not(phone: Phone) -> None:
    for number in (THEIRS, "+12025550199"):
        answer = phone.post("/messages", {"to": PEER, "text": "hi", "from": number})
        assert (answer.status_code, answer.json["code"]) == (403, "number_not_yours")


def test_a_group_message_goes_to_all_and_is_one_conversation(phone: Phone) -> None:
    people = [PEER, "+13035550178"]
    sent = phone.send(to=people)
    again = phone.send(to=people[::-1])
    assert sent["to"] == people
    assert again["conversation_id"] == sent["conversation_id"]
    assert phone.read("/conversations")["items"][0]["participants"] == people


def test_a_long_text_becomes_several_messages(phone: Phone) -> None:
    sent = phone.send(to=PEER, text="word " * 700)
    page = phone.read(f"/conversations/{sent['conversation_id']}/messages", after=0)["items"]
    assert page[0]["id"] == sent["id"]
    assert "".join(message["text"] for message in page) == "word " * 700
    assert len(page) == 3


def test_the_read_mark_moves_forward_only_and_not_beyond_the_newest(
    service: Service, phone: Phone
) -> None:
    for _ in range(3):
        service.receive()
    (conversation,) = phone.read("/conversations")["items"]
    path = f"/conversations/{conversation['id']}/read"
    seen = [phone.post(path, {"up_to_seq": n}).json for n in (2, 1, 0, 10**18 - 1, 3)]
    assert [mark["read_seq"] for mark in seen] == [2, 2, 2, 3, 3]
    assert [mark["unread_count"] for mark in seen] == [1, 1, 1, 0, 0]


def test_the_documented_message_is_the_message(service: Service) -> None:
    schemas = service.client.get("/api/v1/openapi.json").json["components"]["schemas"]
    real = message_object(Message(direction="in", number=MINE, peer=PEER), lambda file: "")
    assert set(schemas["Message"]["properties"]) == set(real)
    assert json.dumps(real)


def test_an_app_learns_the_country_by_which_numbers_are_read(
    make_service: Callable[..., Service],
) -> None:
    phone = make_service(DEFAULT_COUNTRY="BR", SEND_COUNTRIES="*").pair("201")
    assert phone.read("/me")["country"] == "BR"
    assert phone.send(to="11987654322", text="oi")["to"] == ["+5511987654322"]

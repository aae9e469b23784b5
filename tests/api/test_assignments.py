"""Owner and done of a conversation in the API: shown, changed, told to the other devices."""

from typing import Any

import pytest

from tests.api.conftest import MINE, SHARED, THEIRS, Phone, Service


def conversation(phone: Phone) -> dict[str, Any]:
    (found,) = phone.read("/conversations")["items"]
    return dict(found)


def receive(service: Service, to: str, text: str = "hi") -> None:
    """A text arrives, and the worker processes it."""
    service.receive(to, text)
    service.gateway.processor.process_all()


def assigned(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("owner", "group", "done")}


def test_it_is_handed_over_and_done_and_the_others_learn_of_it(service: Service) -> None:
    one, other = service.pair("201"), service.pair("202")
    receive(service, SHARED)
    found = conversation(one)
    assert assigned(found) == {"owner": None, "group": None, "done": False}
    token = other.read("/sync")["next"]
    path = f"/conversations/{found['id']}/assign"
    answer = one.post(path, {"owner": "202"})
    assert (answer.status_code, answer.json) == (
        200,
        {"owner": "202", "group": None, "done": False},
    )
    assert one.post(path, {"done": True}).json == {"owner": "202", "group": None, "done": True}
    assert assigned(conversation(other)) == {"owner": "202", "group": None, "done": True}
    told = other.read("/sync", since=token)
    assert [(event["type"], event["owner"], event["done"]) for event in told["events"]] == [
        ("conversation.updated", "202", True)
    ]
    assert told["events"][0]["conversation_id"] == found["id"]
    receive(service, SHARED, "more")
    assert assigned(conversation(one)) == {"owner": None, "group": None, "done": False}
    types = [event["type"] for event in other.read("/sync", since=told["next"])["events"]]
    assert types == ["message.created", "conversation.updated"]
    assert one.post(path, {"done": False}).json == assigned(conversation(one))


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"owner": "209"}, 422, "not_their_number"),
        ({"owner": ""}, 422, "invalid"),
        ({"owner": 202}, 422, "invalid"),
        ({"done": "yes"}, 422, "invalid"),
        ({"closed": True}, 422, "invalid"),
    ],
)
def test_what_is_refused(service: Service, asked: dict[str, Any], status: int, code: str) -> None:
    phone = service.pair("201")
    receive(service, SHARED)
    answer = phone.post(f"/conversations/{conversation(phone)['id']}/assign", asked)
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == code
    assert assigned(conversation(phone)) == {"owner": None, "group": None, "done": False}


def test_a_conversation_of_others_is_not_there(service: Service) -> None:
    mine, theirs = service.pair("201"), service.pair("202")
    receive(service, THEIRS)
    path = f"/conversations/{conversation(theirs)['id']}/assign"
    answer = mine.post(path, {"owner": "201"})
    assert answer.status_code == 404
    receive(service, MINE)
    token = theirs.read("/sync")["next"]
    assert mine.post(f"/conversations/{conversation(mine)['id']}/assign", {"done": True})
    assert theirs.read("/sync", since=token)["events"] == []

"""Muted and pinned conversations: for one extension, on all its devices and all nodes."""

from typing import Any

import pytest

from services.core.messages import Device
from services.store import devices, jobs, messages
from services.store.database.schema import conversation_marks
from services.store.jobs import JobKind
from services.store.maintenance.removal import remove
from tests.api.conftest import MINE, SHARED, THEIRS, Phone, Service
from tests.conftest import PEER


@pytest.fixture
def service(service_on_each_database: Service) -> Service:
    return service_on_each_database


def receive(service: Service, peer: str = PEER, to: str = SHARED) -> None:
    service.receive(to, **{"from": peer})
    service.gateway.processor.process_all()


def change(phone: Phone, method: str, mark: str, conversation_id: str) -> Any:
    return phone.call(method, f"/conversations/{conversation_id}/{mark}")


def listed(phone: Phone, **query: Any) -> list[dict[str, Any]]:
    return list(phone.read("/conversations", **query)["items"])


def pushed_to(service: Service) -> set[str]:
    """The targets of the pushes about the newest message."""

    def look(tx: Any) -> set[str]:
        (message,) = messages.find(tx, limit=1)
        return {job.target for job in jobs.of(tx, message.id) if job.kind is JobKind.PUSH}

    return service.gateway.store.read(look)


def with_push(service: Service, extension: str) -> Phone:
    phone = service.pair(extension)
    device = Device(phone.id, extension)
    service.gateway.store.write(
        lambda tx: devices.register(
            tx, device, "ntfy", {"server": "https://ntfy.sh", "topic": extension}
        )
    )
    return phone


def test_a_muted_conversation_does_not_count_for_the_badge(service: Service) -> None:
    mine = service.pair("201")
    receive(service)
    receive(service, peer="+13035550188")
    muted, other = listed(mine)

    def total(extension: str) -> int:
        numbers = [MINE, SHARED]
        return service.gateway.store.read(lambda tx: messages.unread_total(tx, extension, numbers))

    change(mine, "PUT", "mute", muted["id"])
    assert (total("201"), total("202")) == (1, 2)
    assert [one["unread_count"] for one in listed(mine)] == [1, 1]
    assert [one["id"] for one in listed(mine, unread="1")] == [muted["id"], other["id"]]
    change(mine, "DELETE", "mute", muted["id"])
    assert total("201") == 2


def test_a_muted_conversation_notifies_no_device_of_this_extension(service: Service) -> None:
    mine, theirs = with_push(service, "201"), with_push(service, "202")
    receive(service)
    assert pushed_to(service) == {mine.id, theirs.id}
    (found,) = listed(mine)
    assert (found["muted"], found["pinned"]) == (False, False)
    token = mine.read("/sync")["next"]
    others = theirs.read("/sync")["next"]
    answer = change(mine, "PUT", "mute", found["id"])
    assert (answer.status_code, answer.json) == (200, {"muted": True, "pinned": False})
    (event,) = mine.read("/sync", since=token)["events"]
    assert event | {"seq": 0} == {
        "seq": 0,
        "type": "conversation.marked",
        "conversation_id": found["id"],
        "muted": True,
        "pinned": False,
    }
    assert theirs.read("/sync", since=others)["events"] == []
    assert listed(theirs)[0]["muted"] is False
    receive(service)
    assert pushed_to(service) == {theirs.id}
    types = [one["type"] for one in mine.read("/sync", since=token)["events"]]
    assert types == ["conversation.marked", "message.created"]
    assert listed(mine)[0]["unread_count"] == 2
    assert change(mine, "DELETE", "mute", found["id"]).json["muted"] is False
    receive(service)
    assert pushed_to(service) == {mine.id, theirs.id}


def test_a_group_that_is_given_to_its_members_leaves_muted_ones_out(service: Service) -> None:
    mine, theirs = with_push(service, "201"), with_push(service, "202")
    receive(service)
    (found,) = listed(mine)
    change(mine, "PUT", "mute", found["id"])
    router = service.gateway.router
    before = service.gateway.store.read(jobs.counts)
    service.gateway.store.write(lambda tx: router.give(tx, found["id"], ["201", "202"]))
    assert service.gateway.store.read(jobs.counts) == before  # 202 has its push already
    assert pushed_to(service) == {mine.id, theirs.id}


def test_pinned_ones_come_first_and_once(service: Service) -> None:
    phone, other = service.pair("201"), service.pair("202")
    peers = [f"+130355501{number:02}" for number in range(10, 16)]
    for peer in peers:
        receive(service, peer)
    by_peer = {one["peer"]: one["id"] for one in listed(phone)}
    for peer in peers[:2]:
        change(phone, "PUT", "pin", by_peer[peer])
    first = phone.read("/conversations", limit=2)
    assert [one["peer"] for one in first["items"]] == [peers[1], peers[0], peers[5], peers[4]]
    assert [one["pinned"] for one in first["items"]] == [True, True, False, False]
    then = phone.read("/conversations", limit=2, cursor=first["next_cursor"])
    assert [one["peer"] for one in then["items"]] == [peers[3], peers[2]]
    assert then["next_cursor"] is None
    assert [one["peer"] for one in listed(other)] == peers[::-1]
    assert [one["peer"] for one in listed(phone, unread="1")] == peers[::-1]
    phone.call("PUT", f"/conversations/{by_peer[peers[0]]}/block", json={})
    assert [one["peer"] for one in listed(phone)] == [peers[1], *peers[:1:-1]]
    change(phone, "DELETE", "pin", by_peer[peers[1]])
    assert [one["peer"] for one in listed(phone)] == peers[:0:-1]


def test_at_most_twenty_are_pinned(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blueprints.api.conversation_marks.MOST_PINNED", 1)
    phone = service.pair("201")
    for peer in ("+13035550110", "+13035550111"):
        receive(service, peer)
    one, other = (found["id"] for found in listed(phone))
    assert change(phone, "PUT", "pin", one).status_code == 200
    assert change(phone, "PUT", "pin", one).status_code == 200
    answer = change(phone, "PUT", "pin", other)
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_pinned")
    assert change(phone, "DELETE", "pin", one).status_code == 200
    assert change(phone, "PUT", "pin", other).status_code == 200


def test_what_a_lost_number_had_pinned_does_not_count(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blueprints.api.conversation_marks.MOST_PINNED", 1)
    phone = service.pair("201")
    receive(service, to=MINE)
    change(phone, "PUT", "pin", listed(phone)[0]["id"])
    entry = {"number": MINE, "carrier": "sandbox", "extensions": ["202"]}
    service.gateway.settings.put(entry)
    receive(service)
    assert change(phone, "PUT", "pin", listed(phone)[0]["id"]).status_code == 200


@pytest.mark.parametrize("mark", ["mute", "pin"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_conversation_of_others_is_not_there(service: Service, mark: str, method: str) -> None:
    mine, theirs = service.pair("201"), service.pair("202")
    receive(service, to=THEIRS)
    (found,) = listed(theirs)
    assert change(mine, method, mark, found["id"]).status_code == 404
    receive(service, to=MINE)
    assert change(mine, method, mark, listed(mine)[0]["id"]).status_code == 200


def test_the_marks_go_with_the_conversation(service: Service) -> None:
    phone = service.pair("201")
    receive(service)
    (found,) = listed(phone)
    change(phone, "PUT", "mute", found["id"])
    store = service.gateway.store
    message_id = found["last_message"]["id"]
    assert store.write(lambda tx: remove(tx, [message_id])) == [message_id]
    assert store.read(lambda tx: tx.execute(conversation_marks.select()).all()) == []

"""Opt-out and blocked senders in the API: refusals, what conversations show, who may do what."""

from typing import Any

import pytest

from services.core.messages import Message
from services.messaging.device_limits import DeviceLimit
from services.store import messages
from tests.api.conftest import MINE, SHARED, THEIRS, Service
from tests.conftest import PEER
from tests.message_steps import receive_text, store_parts, webhook_call

MEMBER = "+13035550188"


def consent(of: Any) -> tuple[object, ...]:
    return of["opt_outs"] != [], of["opt_out_suggested"], of["blocked"]


def test_a_text_to_somebody_who_has_opted_out_is_refused_in_plain_words(service: Service) -> None:
    phone = service.pair("201")
    receive_text(service.gateway, "STOP", number=MINE)
    answer: Any = phone.post("/messages", {"text": "hello", "to": [PEER]})
    assert (answer.status_code, answer.json["code"]) == (403, "opted_out")
    assert "until they text START" in answer.json["detail"]
    assert "your administrator" in answer.json["detail"]
    [conversation] = phone.read("/conversations")["items"]
    assert conversation["closed_reason"] == answer.json["detail"]
    assert conversation["opt_outs"][0]["source"] == "keyword"
    receive_text(service.gateway, "START", number=MINE)
    assert phone.read(f"/conversations/{conversation['id']}")["closed_reason"] is None
    phone.send(to=[PEER])


def test_a_soft_wording_is_shown_and_blocks_nothing_until_a_person_decides(
    service: Service,
) -> None:
    phone = service.pair("201")
    receive_text(service.gateway, "Please stop texting me", number=MINE)
    [conversation] = phone.read("/conversations")["items"]
    path = f"/conversations/{conversation['id']}"
    assert consent(conversation) == (False, PEER, False)
    phone.send(to=[PEER])
    assert consent(phone.call("DELETE", f"{path}/opt-out-suggestion").json) == (False, None, False)
    receive_text(service.gateway, "I said don't text me", number=MINE)
    assert consent(phone.post(f"{path}/opt-out", {}).json) == (True, None, False)
    assert phone.post("/messages", {"text": "x", "to": [PEER]}).status_code == 403


def test_in_a_group_it_must_be_said_who(service: Service) -> None:
    phone = service.pair("201")
    sandbox = service.gateway.providers["sandbox"]
    text = Message("in", MINE, PEER, "hi", participants=(PEER, MEMBER), provider_id="g1")
    store_parts(service.gateway, sandbox, webhook_call(service.gateway), [text])
    [conversation] = phone.read("/conversations")["items"]
    path = f"/conversations/{conversation['id']}"
    assert phone.post(f"{path}/opt-out", {}).status_code == 422
    assert phone.post(f"{path}/opt-out", {"peer": "+13035550000"}).status_code == 422
    found: Any = phone.post(f"{path}/opt-out", {"peer": MEMBER}).json
    assert [one["peer"] for one in found["opt_outs"]] == [MEMBER]
    assert phone.call("PUT", f"{path}/block", json={}).json["field"] == "peer"
    assert phone.call("PUT", f"{path}/block", json={"peer": MINE}).status_code == 422
    found = phone.call("PUT", f"{path}/block", json={"peer": MEMBER}).json
    assert (found["blocked"], found["blocked_peers"]) == (False, [MEMBER])
    assert [c["id"] for c in phone.read("/conversations")["items"]] == [conversation["id"]]
    assert phone.call("DELETE", f"{path}/block").status_code == 422
    found = phone.call("DELETE", f"{path}/block", query_string={"peer": MEMBER}).json
    assert found["blocked_peers"] == []


@pytest.mark.parametrize("every", [True, False])
def test_a_blocked_sender_is_in_no_list_and_comes_back(service: Service, every: bool) -> None:
    phone = service.pair("201")
    for number in (MINE, SHARED):
        receive_text(service.gateway, "buy this", number=number)
    mine = next(c for c in phone.read("/conversations")["items"] if c["number"] == MINE)
    path = f"/conversations/{mine['id']}"
    since = phone.read("/me")["sync_token"]
    blocked: Any = phone.call("PUT", f"{path}/block", json={"all_numbers": every}).json
    assert blocked["blocked"]
    receive_text(service.gateway, "buy more", number=MINE)
    shown = [c["number"] for c in phone.read("/conversations")["items"]]
    assert shown == ([] if every else [SHARED])
    hidden = [c["number"] for c in phone.read("/conversations", blocked="1")["items"]]
    assert sorted(hidden) == sorted([MINE, SHARED] if every else [MINE])
    assert phone.read("/sync", since=since)["events"] == []
    assert phone.read("/search", q="more")["items"] == []
    texts = [m["text"] for m in phone.read(f"{path}/messages")["items"]]
    assert texts == ["buy more", "buy this"]
    unblocked: Any = phone.call("DELETE", f"{path}/block").json
    assert not unblocked["blocked"]
    assert len(phone.read("/conversations")["items"]) == 2
    again = [e["message"]["text"] for e in phone.read("/sync", since=since)["events"]]
    assert "buy more" in again


@pytest.mark.parametrize(
    ("method", "call"),
    [("POST", "opt-out"), ("DELETE", "opt-out-suggestion"), ("PUT", "block"), ("DELETE", "block")],
)
def test_nobody_changes_the_conversations_of_others(
    service: Service, method: str, call: str
) -> None:
    receive_text(service.gateway, "hi", number=THEIRS)
    [conversation] = service.pair("202").read("/conversations")["items"]
    path = f"/conversations/{conversation['id']}/{call}"
    json: Any = {} if method in ("POST", "PUT") else None
    assert service.pair("201").call(method, path, json=json).status_code == 404


def test_a_device_changes_consent_within_its_limit(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = DeviceLimit("consent", "opt out or block {most} people", ((1, 60.0),))
    monkeypatch.setattr("blueprints.api.opt_outs.CONSENT_CHANGES", few)
    phone = service.pair("201")
    receive_text(service.gateway, "hi", number=MINE)
    [conversation] = phone.read("/conversations")["items"]
    path = f"/conversations/{conversation['id']}/block"
    codes = [phone.call("PUT", path, json={}).status_code for _ in range(2)]
    assert codes == [200, 429]


def test_a_blocked_sender_is_not_counted_as_unread(service: Service) -> None:
    phone = service.pair("201")
    receive_text(service.gateway, "buy this", number=MINE)
    receive_text(service.gateway, "hi", number=MINE, peer=MEMBER)
    spam = next(c for c in phone.read("/conversations")["items"] if c["peer"] == PEER)

    def unread() -> int:
        return service.gateway.store.read(lambda tx: messages.unread_total(tx, "201", [MINE]))

    assert unread() == 2
    phone.call("PUT", f"/conversations/{spam['id']}/block", json={})
    assert unread() == 1

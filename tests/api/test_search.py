"""Search through the API: messages by their words, conversations by their peers."""

import json
from typing import Any

import pytest

from services.operations.housekeeping import index_messages
from services.store.search import sqlite_index
from tests.api.conftest import MINE, SHARED, THEIRS, Phone, Service


def texts(phone: Phone, typed: str, **query: Any) -> list[str]:
    return [message["text"] for message in phone.read("/search", q=typed, **query)["items"]]


def test_a_message_is_found_and_leads_to_its_conversation(
    service_on_each_database: Service,
) -> None:
    phone = service_on_each_database.pair("201")
    service_on_each_database.receive(text="Are you coming tomorrow?")
    sent = phone.send(to="+13035550188", text="Tomorrow is fine")
    for _ in range(2):
        found = phone.read("/search", q="tomor")
        assert [message["text"] for message in found["items"]] == [
            "Tomorrow is fine",
            "Are you coming tomorrow?",
        ]
        assert found["items"][0] == phone.read(f"/messages/{sent['id']}")
        assert found["has_more"] is False
        for message in found["items"]:
            at = f"/conversations/{message['conversation_id']}"
            assert phone.read(at)["last_message"]["id"] == message["id"]
        index_messages(service_on_each_database.gateway.store)


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "new"])
def test_an_extension_finds_in_its_numbers_only(
    service_on_each_database: Service, indexed: bool
) -> None:
    for number in (MINE, THEIRS, SHARED):
        service_on_each_database.receive(to=number, text=f"canary at {number}")
    if indexed:
        index_messages(service_on_each_database.gateway.store)
    mine, theirs, shared = (f"canary at {number}" for number in (MINE, THEIRS, SHARED))
    assert texts(service_on_each_database.pair("201"), "canary") == [shared, mine]
    assert texts(service_on_each_database.pair("202"), "canary") == [shared, theirs]
    assert texts(service_on_each_database.pair("203"), "canary") == []


@pytest.mark.parametrize("limit", [1, 2, 5, 200])
def test_found_messages_page_to_the_oldest(service: Service, phone: Phone, limit: int) -> None:
    for turn in range(5):
        service.receive(text=f"word {turn}")
        service.receive(text="something else")
        if turn == 2:
            index_messages(service.gateway.store)
    found: list[str] = []
    query: dict[str, Any] = {"q": "word", "limit": limit}
    while True:
        page = phone.read("/search", **query)
        found += [message["text"] for message in page["items"]]
        if not page["has_more"]:
            break
        query["before"] = page["next_before"]
    assert found == [f"word {turn}" for turn in range(4, -1, -1)]


def test_a_search_says_how_far_back_it_has_looked(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_index, "STEPS", (2, 3))
    service.receive(text="morning order")
    for turn in range(20):
        service.receive(text=("morning", "order")[turn % 2])
    index_messages(service.gateway.store)
    page = phone.read("/search", q="morning order")
    assert (page["items"], page["has_more"]) == ([], True)
    turns = 0
    while page["has_more"]:
        assert page["items"] == []
        page = phone.read("/search", q="morning order", before=page["next_before"])
        turns += 1
    assert [message["text"] for message in page["items"]] == ["morning order"]
    assert page["next_before"] is None
    assert turns > 1


def test_the_command_finds_however_far_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_index, "STEPS", (2, 3))
    for said in ("morning order", *("morning", "order") * 10, "morning order again"):
        service.receive(text=said)
    index_messages(service.gateway.store)
    command = service.app.test_cli_runner()
    shown = command.invoke(args=["messages", "list", "--text", "order morning", "--json"])
    assert [message["text"] for message in json.loads(shown.output)] == [
        "morning order again",
        "morning order",
    ]


ODD = ("?", '"', "'", "*", '" OR "', "\x00", "\ud83d", "👍", "(((", "NEAR(", ":", "\\", "x" * 100)


def test_odd_words_find_nothing_and_do_no_harm(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    service_on_each_database.receive(text="hello")
    for _ in range(2):
        for typed in ODD:
            raw = typed.encode("utf-8", "surrogatepass")
            query = "q=" + "".join(f"%{byte:02x}" for byte in raw)
            answer = phone.get(f"/search?{query}")
            assert (answer.status_code, answer.json["items"]) == (200, []), typed
        index_messages(service_on_each_database.gateway.store)


def test_conversations_are_found_by_a_part_of_a_number(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    for peer in ("+13035550177", "+13035550188", "BANK"):
        service_on_each_database.receive(**{"from": peer})
    service_on_each_database.receive(to=THEIRS, **{"from": "+13035550199"})

    def peers(typed: str) -> list[str]:
        return [c["peer"] for c in phone.read("/conversations", q=typed)["items"]]

    assert peers("0177") == ["+13035550177"]
    assert peers("+1 (303) 555-01") == ["+13035550188", "+13035550177"]
    assert peers("bank") == ["BANK"]
    assert peers("0199") == peers("%") == peers("_") == peers("+") == peers("👍") == []

"""Paging in the API: no item twice, none missing, whatever the page size."""

from typing import Any

import pytest

from tests.api.conftest import SHARED, Phone, Service

SIZES = (1, 2, 3, 6, 7, 8, 200)


def caller(number: int) -> str:
    return f"+1303555{100 + number:04d}"


def pages(phone: Phone, path: str, key: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page, following the answers as an app does."""
    found = []
    while True:
        page = phone.read(path, **query)
        found.append(page["items"])
        if key == "next_cursor":
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]
        else:
            if not page["has_more"]:
                return found
            query[key] = page["items"][-1]["seq"]


@pytest.mark.parametrize("limit", SIZES)
def test_conversations_page_from_the_newest_to_the_oldest(
    service: Service, phone: Phone, limit: int
) -> None:
    for number in range(7):
        service.receive(to=SHARED, **{"from": caller(number)})
    found = pages(phone, "/conversations", "next_cursor", limit=limit)
    assert [c["peer"] for page in found for c in page] == [caller(n) for n in range(6, -1, -1)]
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert len(found) == -(-7 // limit)


@pytest.mark.parametrize("limit", SIZES)
def test_messages_page_both_ways(service: Service, phone: Phone, limit: int) -> None:
    for number in range(7):
        service.receive(text=f"text {number}")
        service.receive(to=SHARED)  # between them, of another conversation
    mine = next(c for c in phone.read("/conversations")["items"] if c["number"] != SHARED)
    path = f"/conversations/{mine['id']}/messages"
    back = [m["text"] for page in pages(phone, path, "before", limit=limit) for m in page]
    forth = [m["text"] for page in pages(phone, path, "after", limit=limit, after=0) for m in page]
    assert forth == [f"text {number}" for number in range(7)]
    assert back == forth[::-1]


def test_a_page_begins_right_beside_the_given_message(service: Service, phone: Phone) -> None:
    for _ in range(5):
        service.receive()
    (conversation,) = phone.read("/conversations")["items"]
    path = f"/conversations/{conversation['id']}/messages"

    def seqs(**query: int) -> list[int]:
        return [message["seq"] for message in phone.read(path, **query)["items"]]

    assert seqs(before=3) == [2, 1]
    assert seqs(after=3) == [4, 5]
    assert seqs(after=1, before=5) == [2, 3, 4]
    assert seqs(before=1) == seqs(after=5) == []
    assert seqs(before=10**17) == [5, 4, 3, 2, 1]
    assert phone.read(path, before=3, limit=2)["has_more"] is False
    assert phone.read(path, after=2, limit=2)["has_more"] is True


def test_only_unread_conversations_are_listed_on_request(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    for number in range(6):
        service_on_each_database.receive(**{"from": caller(number)})
    everything = phone.read("/conversations")["items"]
    for conversation in everything[::2]:
        path = f"/conversations/{conversation['id']}/read"
        phone.post(path, {"up_to_seq": conversation["last_seq"]})
    phone.send(conversation_id=everything[0]["id"])  # an answer is nothing to read
    found = pages(phone, "/conversations", "next_cursor", unread=1, limit=2)
    unread = [c["id"] for c in everything[1::2]]
    assert [c["id"] for page in found for c in page] == unread
    assert len(found) == 2


def test_conversations_of_one_number_are_listed_on_request(service: Service) -> None:
    phone = service.pair("201")
    for number in range(2):
        service.receive(**{"from": caller(number)})
    own = phone.read("/me")["numbers"][0]["number"]
    assert len(phone.read("/conversations", number=own)["items"]) == 2
    assert len(phone.read("/conversations", number=f" {own[2:]} ")["items"]) == 2
    refused = phone.get("/conversations", query_string={"number": "+12025550199"})
    assert (refused.status_code, refused.json["code"]) == (403, "number_not_yours")
    assert refused.json["field"] == "number"
    assert (
        phone.get("/conversations", query_string={"number": "x"}).json["code"] == "invalid_number"
    )


def test_a_conversation_with_a_new_message_comes_first(service: Service, phone: Phone) -> None:
    for number in (0, 1, 0):
        service.receive(**{"from": caller(number)})
    peers = [c["peer"] for c in phone.read("/conversations")["items"]]
    assert peers == [caller(0), caller(1)]

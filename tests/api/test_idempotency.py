"""A reply that the app repeats is sent once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from services.store.database.schema import jobs, messages
from tests.api.conftest import API, PEER, SHARED, House, Phone

ASKED = {"to": PEER, "text": "once", "client_id": "a-1"}


def counted(house: House) -> tuple[int, int]:
    """How many messages there are, and how many jobs to send one."""
    return house.gateway.store.read(
        lambda tx: (
            tx.scalar(select(func.count()).select_from(messages)) or 0,
            tx.scalar(select(func.count()).select_from(jobs).where(jobs.c.kind == "send")) or 0,
        )
    )


def test_a_repeat_gets_the_same_answer_and_sends_nothing(house: House, phone: Phone) -> None:
    first = phone.post("/messages", ASKED)
    again = phone.post("/messages", ASKED)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json == again.json
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert counted(house) == (1, 1)


@pytest.mark.parametrize("change", [{"text": "other"}, {"to": "+13035550178"}, {"from": SHARED}])
def test_the_same_id_for_another_message_is_refused(
    house: House, phone: Phone, change: dict[str, str]
) -> None:
    phone.post("/messages", ASKED)
    answer = phone.post("/messages", ASKED | change)
    assert answer.status_code == 409
    assert (answer.json["code"], answer.json["field"]) == ("client_id_reused", "client_id")
    assert counted(house) == (1, 1)


@pytest.mark.parametrize("key", ["k-1", '"k-1"', "8e03978e-40d5-43e8-bc93-6894a57f9324"])
def test_the_header_stands_for_a_missing_client_id(phone: Phone, key: str) -> None:
    asked = {"to": PEER, "text": "once"}
    first = phone.post("/messages", asked, headers={"Idempotency-Key": key})
    again = phone.post("/messages", {**asked, "client_id": key.strip('"')})
    assert first.json["client_id"] == key.strip('"')
    assert again.json["id"] == first.json["id"]


def test_the_body_counts_more_than_the_header(phone: Phone) -> None:
    answer = phone.post("/messages", ASKED, headers={"Idempotency-Key": "other"})
    assert answer.json["client_id"] == "a-1"


def test_two_extensions_may_use_the_same_id(phone: Phone, other: Phone) -> None:
    ids = {app.post("/messages", ASKED).json["id"] for app in (phone, other)}
    assert len(ids) == 2


def test_messages_without_an_id_are_all_sent(house: House, phone: Phone) -> None:
    for _ in range(2):
        phone.send(to=PEER, text="twice")
    assert counted(house) == (2, 2)


def test_fifty_at_once_make_one_message(both: House) -> None:
    phone = both.pair("201")
    check(both, [both] * 50, phone.token)


def test_several_processes_at_once_make_one_message(
    make_house: Callable[..., House], database: str
) -> None:
    """Each gateway has its own connections and locks, as each process has."""
    houses = [make_house(DATABASE_URL=database) for _ in range(3)]
    token = houses[0].pair("201").token
    for attempt in range(10):
        check(houses[0], houses * 4, token, f"id-{attempt}", attempt + 1)


def check(
    house: House, doors: list[House], token: str, client_id: str = "a-1", expected: int = 1
) -> None:
    def ask(door: House) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        asked = ASKED | {"client_id": client_id}
        return door.client.post(f"{API}/messages", json=asked, headers=headers)

    with ThreadPoolExecutor(len(doors)) as pool:
        answers = list(pool.map(ask, doors))
    assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert counted(house) == (expected, expected)

"""Idempotency: a reply that the app repeats is sent once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from services.store.database.schema import jobs, messages
from tests.api.conftest import API, PEER, SHARED, Phone, Service

ASKED = {"to": PEER, "text": "once", "client_id": "a-1"}


def counted(service: Service) -> tuple[int, int]:
    """How many messages there are, and how many jobs to send one."""
    return service.gateway.store.read(
        lambda tx: (
            tx.scalar(select(func.count()).select_from(messages)) or 0,
            tx.scalar(select(func.count()).select_from(jobs).where(jobs.c.kind == "send")) or 0,
        )
    )


def test_a_repeat_gets_the_same_answer_and_sends_nothing(service: Service, phone: Phone) -> None:
    first = phone.post("/messages", ASKED)
    again = phone.post("/messages", ASKED)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json == again.json
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert counted(service) == (1, 1)


@pytest.mark.parametrize("change", [{"text": "other"}, {"to": "+13035550178"}, {"from": SHARED}])
def test_the_same_id_for_another_message_is_refused(
    service: Service, phone: Phone, change: dict[str, str]
) -> None:
    phone.post("/messages", ASKED)
    answer = phone.post("/messages", ASKED | change)
    assert answer.status_code == 409
    assert (answer.json["code"], answer.json["field"]) == ("client_id_reused", "client_id")
    assert counted(service) == (1, 1)


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


def test_messages_without_an_id_are_all_sent(service: Service, phone: Phone) -> None:
    for _ in range(2):
        phone.send(to=PEER, text="twice")
    assert counted(service) == (2, 2)


def test_fifty_at_once_make_one_message(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    check(service_on_each_database, [service_on_each_database] * 50, phone.token)


def test_several_processes_at_once_make_one_message(
    make_service: Callable[..., Service], database: str
) -> None:
    """Each gateway has its own connections and locks, as each process has."""
    nodes = [make_service(DATABASE_URL=database) for _ in range(3)]
    token = nodes[0].pair("201").token
    for attempt in range(10):
        check(nodes[0], nodes * 4, token, f"id-{attempt}", attempt + 1)


def check(
    service: Service, asked_at: list[Service], token: str, client_id: str = "a-1", expected: int = 1
) -> None:
    def ask(node: Service) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        asked = ASKED | {"client_id": client_id}
        return node.client.post(f"{API}/messages", json=asked, headers=headers)

    with ThreadPoolExecutor(len(asked_at)) as pool:
        answers = list(pool.map(ask, asked_at))
    assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert counted(service) == (expected, expected)

"""Calls of several devices at the same time: their writes share a transaction, not their caller."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.api.conftest import MINE, THEIRS, Service
from tests.waiting import PATIENCE

CALLS_AT_ONCE = 8
ROUNDS = 10


def test_each_call_is_made_with_the_rights_of_its_own_device(service: Service) -> None:
    service.receive(MINE)
    service.receive(THEIRS)
    phones = [service.pair("201"), service.pair("202")]
    own = [phone.read("/conversations")["items"][0]["id"] for phone in phones]
    gate = threading.Barrier(CALLS_AT_ONCE, timeout=PATIENCE)

    def call(index: int) -> list[tuple[int, Any]]:
        extension = index % len(phones)
        path = f"/conversations/{own[extension]}/assign"
        answers = []
        for _ in range(ROUNDS):
            gate.wait()
            answer = phones[extension].post(path, {"owner": ("201", "202")[extension]})
            answers.append((answer.status_code, (answer.json or {}).get("owner")))
        return answers

    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        answers = list(pool.map(call, range(CALLS_AT_ONCE)))
    for index, made in enumerate(answers):
        assert set(made) == {(200, ("201", "202")[index % len(phones)])}

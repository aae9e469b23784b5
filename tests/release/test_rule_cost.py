"""A text costs about the same with 20,000 numbers and 500 rules as with ten numbers and none.

Compared is the CPU time of everything from the stored webhook to the jobs, in one run of both.
"""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from services.gateway import Gateway
from services.store import messages
from tests.conftest import PEER
from tests.databases import add_tables
from tests.message_steps import jobs_of, webhook_call

pytestmark = pytest.mark.release

Make = Callable[..., Gateway]
TEXTS, ROUNDS = 200, 7
# Times the cost of the small one: measured is 1.0. A search through all rules makes it 1.5, one
# through all numbers 1.6.
MOST = 1.3


def numbers(count: int) -> list[dict[str, Any]]:
    return [
        {"number": f"+1202{2_000_000 + n}", "carrier": "sandbox", "emails": [f"d{n}@example.com"]}
        for n in range(count)
    ]


def rules(count: int) -> list[dict[str, Any]]:
    """Rules of every kind, none of which the texts match: all of them must be ruled out."""
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda n: {"to": ["+12022000000"], "keywords": [f"k{n}"]},
        lambda n: {"to": [f"+1202{2_000_000 + n}"], "keywords": [f"k{n}"]},
        lambda n: {"from": [f"+1404555{n:04}*"]},
        lambda n: {"keywords": [f"w{n} x"]},
    ]
    return [{"name": f"r{n}", "reply": "x"} | kinds[n % len(kinds)](n) for n in range(count)]


def opened(make_gateway: Make, folder: Path, count: int, of_rules: int) -> Gateway:
    folder.mkdir()
    document = {"version": 2, "numbers": numbers(count), "inbound": rules(of_rules)}
    (folder / "message_settings.json").write_text(json.dumps(document), encoding="utf-8")
    add_tables(folder)
    gateway = make_gateway(STORAGE_PATH=str(folder))
    assert gateway.settings.problem is None
    assert len(gateway.settings.all()) == count
    return gateway


def cost(gateway: Gateway) -> float:
    """The CPU seconds in which this process takes in some texts and makes their jobs."""
    sandbox = gateway.providers["sandbox"]
    calls = [
        webhook_call(gateway, f"hello {n}", number=f"+1202{2_000_000 + n % 10}", peer=PEER)
        for n in range(TEXTS)
    ]
    gc.collect()
    before = process_time()
    for call in calls:
        gateway.receiver.receive(sandbox, call)
    gateway.processor.process_all()
    return process_time() - before


def test_a_text_costs_hardly_more_with_20_000_numbers_and_500_rules(
    make_gateway: Make, tmp_path: Path
) -> None:
    small = opened(make_gateway, tmp_path / "small", 10, 0)
    large = opened(make_gateway, tmp_path / "large", 20_000, 500)
    for gateway in (small, large):
        cost(gateway)  # what is read or compiled once
    rounds = [(cost(small), cost(large)) for _ in range(ROUNDS)]
    few, many = (min(each) for each in zip(*rounds, strict=True))
    for gateway in (small, large):
        stored = gateway.store.read(lambda tx: messages.find(tx, limit=TEXTS * (ROUNDS + 2)))
        assert len(stored) == TEXTS * (ROUNDS + 1)
        assert all(one.routed and one.rule is None for one in stored)
        assert len(jobs_of(gateway, stored[0])) == 1
    print(f"{few / TEXTS * 1e6:.0f} µs and {many / TEXTS * 1e6:.0f} µs a text")
    assert many <= MOST * few

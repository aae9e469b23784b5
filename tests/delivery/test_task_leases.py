"""Of several workers one at a time processes the calls of a carrier, and another takes over."""

from collections.abc import Callable

import pytest

from services.delivery import task_leases
from services.delivery.task_leases import TaskLeases
from services.gateway import Gateway
from services.store import workers
from services.store.database import clock

Make = Callable[..., Gateway]
NAMES = ["bandwidth", "twilio"]


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    return make_gateway(DATABASE_URL=database)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed, for this process and for the database."""
    passed = [0.0]
    real_now = clock.now
    monkeypatch.setattr(task_leases.time, "monotonic", lambda: 1000.0 + passed[0])
    monkeypatch.setattr(clock, "now", lambda tx: real_now(tx) + passed[0])
    return passed


def start(gateway: Gateway, name: str) -> TaskLeases:
    gateway.store.write(lambda tx: workers.beat(tx, name, clock.now(tx)))
    return TaskLeases(gateway.store, NAMES, name)


def test_one_worker_has_all_of_them(gateway: Gateway, at: list[float]) -> None:
    first, second = start(gateway, "first"), start(gateway, "second")
    assert first.held() == set(NAMES)
    assert second.held() == set()
    at[0] = 5.0
    assert first.held() == set(NAMES)
    assert second.held() == set()
    at[0] = 10.0  # renewed at 5
    assert first.held() == set(NAMES)
    assert second.held() == set()


def test_a_worker_that_hangs_loses_them_within_ten_seconds(
    gateway: Gateway, at: list[float]
) -> None:
    first, second = start(gateway, "first"), start(gateway, "second")
    first.held()
    second.held()
    at[0] = 9.0
    assert second.held() == set(NAMES)
    assert first.held() == set()


def test_a_worker_that_was_stopped_for_a_while_does_not_trust_what_it_had(
    gateway: Gateway, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(gateway, "first")
    first.held()
    at[0] = 60.0
    monkeypatch.setattr(first, "_next_renewal", float("inf"))
    assert first.held() == set()


def test_a_worker_that_is_forgotten_loses_them_at_once(gateway: Gateway, at: list[float]) -> None:
    first, second = start(gateway, "first"), start(gateway, "second")
    first.held()
    second.held()
    gateway.store.write(lambda tx: workers.forget_workers(tx, ["first"], 0.0))
    at[0] = 1.0
    assert second.held() == set(NAMES)


def test_a_worker_that_ends_gives_them_away(gateway: Gateway, at: list[float]) -> None:
    first, second = start(gateway, "first"), start(gateway, "second")
    first.held()
    second.held()
    first.release()
    at[0] = 1.0
    assert second.held() == set(NAMES)
    assert first.held() == set()

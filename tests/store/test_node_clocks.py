"""A node whose clock is wrong: times that nodes compare come from the database's clock."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from services.core.errors import DeliveryError, Kind
from services.gateway import Gateway
from services.store import circuit_breakers, devices, job_leasing
from services.store.database import clock
from services.store.jobs import Job
from tests.conftest import NUMBER_ENTRY
from tests.fakes.receiver import Receiver
from tests.message_steps import receive_text, run_due_jobs

Make = Callable[..., Gateway]
WRONG_SECONDS = 300.0


@pytest.fixture
def gateway(make_gateway: Make, receiver: Receiver, postgres_url: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, **receiver.env, DATABASE_URL=postgres_url)


@contextmanager
def wrong_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    """What runs inside runs on a machine whose clock is ahead by ``seconds``."""
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + seconds)
        yield


def lease(gateway: Gateway) -> list[Job]:
    """Lease all that is due."""
    leased: list[Job] = []
    gateway.delivery.deliver("w", lambda _: 8, leased.append)
    return leased


@pytest.mark.parametrize("seconds", [WRONG_SECONDS, -WRONG_SECONDS])
def test_a_text_that_a_node_with_a_wrong_clock_has_taken_is_pushed_at_once(
    gateway: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    with wrong_clock(monkeypatch, seconds):
        receive_text(gateway)
    assert len(run_due_jobs(gateway)) == 1
    assert len(receiver.ids) == 1


def test_a_worker_with_a_wrong_clock_begins_nothing_early(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive_text(gateway)
    (job,) = lease(gateway)
    gateway.outcomes.settle(job, DeliveryError("Later.", Kind.RETRY, retry_after=100.0))
    with wrong_clock(monkeypatch, WRONG_SECONDS):
        assert lease(gateway) == []


def test_a_retry_that_a_node_with_a_wrong_clock_decides_is_due_in_time_for_all(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive_text(gateway)
    (job,) = lease(gateway)
    with wrong_clock(monkeypatch, WRONG_SECONDS):
        gateway.outcomes.settle(job, DeliveryError("Later.", Kind.RETRY, retry_after=20.0))
    now = gateway.store.read(clock.now)
    assert now < gateway.store.read(job_leasing.first_due)[job.destination] <= now + 20.0
    (pause,) = gateway.store.read(circuit_breakers.unwell)
    assert now < pause.until <= now + 20.0


def test_a_pairing_code_is_valid_on_a_node_with_a_wrong_clock(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = gateway.store.write(lambda tx: devices.add_pairing(tx, "201"))
    with wrong_clock(monkeypatch, 10 * WRONG_SECONDS):
        assert gateway.store.write(lambda tx: devices.use_pairing(tx, code)) == "201"


def test_the_database_is_asked_for_its_time_seldom(gateway: Gateway) -> None:
    asked: list[object] = []

    def times(tx: Any) -> list[float]:
        execute = tx.execute
        clock._measured.clear()
        tx.execute = lambda *a: asked.append(a) or execute(*a)
        return [clock.now(tx) for _ in range(100)]

    found = gateway.store.read(times)
    assert found == sorted(found)
    assert len(asked) == 1

"""Leases of a living worker that it knows nothing of: the answer to their commit was lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from services.core.errors import DeliveryError, Kind, StorageUnwell
from services.core.messages import Status
from services.delivery.worker import Worker
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import circuit_breakers, jobs, statuses
from services.store.jobs import Job
from services.store.maintenance import invariants
from services.store.maintenance.invariants import HELD_SECONDS, Invariant
from tests.conftest import NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import PHONE, receive_text, stored

Make = Callable[..., Gateway]


@pytest.fixture
def gateway(make_gateway: Make, receiver: Receiver, database: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, **receiver.env, DATABASE_URL=database)


def lose_a_lease(gateway: Gateway, worker: Worker) -> list[Job]:
    """Lease all that is due to a worker, which does not hear of it."""
    leased: list[Job] = []
    gateway.delivery.deliver(worker.id, lambda _: 8, leased.append)
    return leased


def states(gateway: Gateway) -> set[tuple[str, str]]:
    return set(gateway.store.read(jobs.counts))


def test_a_lease_that_the_worker_does_not_know_of_is_given_back_within_two_heartbeats(
    gateway: Gateway,
) -> None:
    worker = gateway.new_worker()
    receive_text(gateway)
    (job,) = lose_a_lease(gateway, worker)
    worker._beat()
    assert states(gateway) == {("push", "leased")}, "it may be on its way to the worker"
    worker._beat()
    assert states(gateway) == {("push", "due")}
    (again,) = lose_a_lease(gateway, gateway.new_worker())
    assert (again.id, again.interruptions) == (job.id, 1)


def test_what_a_worker_has_in_hand_is_left_to_it(gateway: Gateway) -> None:
    worker = gateway.new_worker()
    receive_text(gateway)
    (job,) = lose_a_lease(gateway, worker)
    worker._pool.spawn = lambda *_: None  # type: ignore[method-assign]
    worker._start(job)
    for _ in range(3):
        worker._beat()
    assert states(gateway) == {("push", "leased")}


def test_a_send_that_had_begun_is_unknown_and_never_sent_again(gateway: Gateway) -> None:
    worker = gateway.new_worker()
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    (job,) = lose_a_lease(gateway, worker)
    gateway.store.write(lambda tx: jobs.start(tx, job))
    gateway.store.write(lambda tx: statuses.advance(tx, message.id, Status.SENDING))
    for _ in range(2):
        worker._beat()
    assert stored(gateway, message).status is Status.UNKNOWN


def test_a_push_that_was_answered_is_not_repeated(gateway: Gateway) -> None:
    worker = gateway.new_worker()
    receive_text(gateway)
    (job,) = lose_a_lease(gateway, worker)
    gateway.journal.note(job)
    for _ in range(2):
        worker._beat()
    assert states(gateway) == set()


def test_a_lease_that_nobody_works_on_violates_an_invariant(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = gateway.new_worker()
    receive_text(gateway)
    lose_a_lease(gateway, worker)
    worker._beat()
    assert gateway.store.read(invariants.check).missing[Invariant.HELD] == 0
    monkeypatch.setattr(invariants, "HELD_SECONDS", -1.0)
    assert gateway.store.read(invariants.check).missing[Invariant.HELD] == 1
    assert HELD_SECONDS > 0


@contextmanager
def lost_answer(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first write inside is committed, and its caller hears that it failed."""
    write, lost = gateway.store.write, []

    def once(work: object, **options: bool) -> object:
        result = write(work, **options)  # type: ignore[arg-type]
        if not lost:
            lost.append(work)
            raise StorageUnwell("The connection is gone.")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(gateway.store, "write", once)
        patch.setattr("services.delivery.outcome.time.sleep", lambda _: None)
        yield


def test_an_outcome_whose_commit_had_no_answer_is_counted_once(
    gateway: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive_text(gateway)
    (job,) = lose_a_lease(gateway, gateway.new_worker())
    with lost_answer(gateway, monkeypatch):
        gateway.delivery.perform(job)
    assert len(receiver.ids) == 1
    assert not any(gateway.store.read(invariants.check).missing.values())


def test_a_failure_whose_commit_had_no_answer_pauses_its_destination_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive_text(gateway)
    (job,) = lose_a_lease(gateway, gateway.new_worker())
    with lost_answer(gateway, monkeypatch):
        gateway.outcomes.settle(job, DeliveryError("No access.", Kind.CONFIG))
    assert gateway.store.read(lambda tx: circuit_breakers.failures(tx, job.destination)) == 1
    assert not any(gateway.store.read(invariants.check).missing.values())

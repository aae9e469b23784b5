"""Jobs of a worker that died: sends become unknown, answered pushes are not repeated."""

import time
from collections.abc import Callable

import pytest

from services.core.messages import Message, Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import dead_letters, jobs, statuses, workers
from services.store.jobs import Job, JobKind
from tests.conftest import NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import PHONE, failing, make_due, receive_text, run_due_jobs, stored

Make = Callable[..., Gateway]


def lease(gateway: Gateway) -> list[Job]:
    claimed: list[Job] = []
    gateway.delivery.deliver("dead worker", lambda _: 8, claimed.append)
    return claimed


def test_a_send_that_had_begun_when_its_worker_died_is_unknown(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    begun, _ = gateway.composer.submit(PHONE, Reply(text="begun", to=(PEER,)))
    waiting, _ = gateway.composer.submit(PHONE, Reply(text="waiting", to=("+13035550178",)))
    leased = {job.message_id: job for job in lease(gateway)}
    gateway.store.write(lambda tx: jobs.start(tx, leased[begun.id]))
    gateway.store.write(lambda tx: statuses.advance(tx, begun.id, Status.SENDING))
    assert gateway.outcomes.reclaim(["dead worker"]) == 2
    taken = failing(gateway)
    run_due_jobs(gateway)
    assert [message.id for message in taken] == [waiting.id]
    assert stored(gateway, begun).status is Status.UNKNOWN


class PowerCut(BaseException):
    """Ends a job as a killed process does: nothing is recorded any more."""


def test_a_send_that_is_cut_off_half_way_is_never_sent_again(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    taken: list[Message] = []

    def send(message: Message) -> str:
        taken.append(message)
        raise PowerCut

    provider.send = send  # type: ignore[method-assign]
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    with pytest.raises(PowerCut):
        gateway.delivery.deliver("dead worker", lambda _: 8, gateway.delivery.perform)
    gateway.outcomes.reclaim(["dead worker"])
    make_due(gateway)
    run_due_jobs(gateway)
    assert len(taken) == 1
    assert stored(gateway, message).status is Status.UNKNOWN


@pytest.mark.parametrize("kind", [JobKind.PUSH, JobKind.EMAIL])
def test_what_was_answered_is_not_done_again_when_the_worker_dies_before_it_is_noted(
    make_gateway: Make, receiver: Receiver, kind: JobKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway({**NUMBER_ENTRY, "emails": ["desk@example.com"]}, **receiver.env)
    mailed: list[str] = []
    monkeypatch.setattr(gateway.mailer, "send", lambda _, to, details: mailed.append(to))
    receive_text(gateway)
    (job,) = (job for job in lease(gateway) if job.kind is kind)
    with monkeypatch.context() as dying:
        dying.setattr(gateway.outcomes, "record", cut)
        with pytest.raises(PowerCut):
            perform_and_record(gateway, job)
    gateway.outcomes.reclaim(["dead worker"])
    make_due(gateway)
    run_due_jobs(gateway)
    assert (len(receiver.ids), mailed) == (1, ["desk@example.com"])
    assert gateway.store.read(jobs.counts) == {}


def perform_and_record(gateway: Gateway, job: Job) -> None:
    gateway.delivery.perform(job)
    gateway.delivery.finish()


def cut(*_: object, **_more: object) -> None:
    """End the caller as a killed process ends."""
    raise PowerCut


def test_the_jobs_of_a_living_worker_are_left_alone(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    lease(gateway)
    gateway.store.write(lambda tx: workers.beat(tx, "dead worker", time.time()))
    assert gateway.outcomes.reclaim([]) == 0


def test_a_job_that_keeps_killing_its_worker_becomes_a_dead_letter(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    receive_text(gateway)
    for _ in range(jobs.MAX_INTERRUPTIONS):
        assert len(lease(gateway)) == 1
        gateway.outcomes.reclaim(["dead worker"])
    assert lease(gateway) == []
    (dead,) = gateway.store.read(lambda tx: dead_letters.newest(tx, 10))
    assert "interrupted 5 times" in str(dead.error)

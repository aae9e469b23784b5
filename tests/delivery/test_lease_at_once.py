"""A new text's push begins without a second transaction, unless something must come before it."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.core.errors import StorageUnwell
from services.gateway import Gateway
from services.store import circuit_breakers, jobs
from services.store.jobs import Job, JobKind
from services.store.maintenance import invariants
from tests.conftest import NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import fail_with_text, run_due_jobs, stored_messages, webhook_call

Make = Callable[..., Gateway]
OTHER = "+13035550178"
WEBHOOK = "push:webhook"


@pytest.fixture
def gateway(make_gateway: Make, receiver: Receiver, database: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **receiver.env)


def process(gateway: Gateway, *texts: str, peer: str = PEER, free_slots: int = 8) -> list[Job]:
    """Receive and process texts in one batch; returns the jobs that began at once."""
    provider = gateway.providers["sandbox"]
    for text in texts:
        gateway.receiver.receive(provider, webhook_call(gateway, text, peer=peer))
    begun: list[Job] = []
    carriers = gateway.processor.lease_names
    gateway.delivery.process_inbox("w", carriers, lambda _: free_slots, begun.append, lambda f: f())
    return begun


def states(gateway: Gateway) -> list[str]:
    """The states of all push jobs, those of the oldest message first."""
    return [
        job.state
        for message in reversed(stored_messages(gateway))
        for job in gateway.store.read(lambda tx, m=message: jobs.of(tx, m.id))
        if job.kind is JobKind.PUSH
    ]


def test_a_push_of_a_new_text_is_leased_in_its_transaction(
    gateway: Gateway, receiver: Receiver
) -> None:
    (job,) = process(gateway, "hi")
    assert (job.state, job.owner, job.attempts) == ("leased", "w", 1)
    assert states(gateway) == ["leased"]
    gateway.delivery.perform(job)
    gateway.delivery.finish()
    assert states(gateway) == ["done"]
    assert len(receiver.ids) == 1
    assert not gateway.store.read(invariants.check).violations()


def test_texts_of_one_conversation_are_pushed_one_after_the_other(gateway: Gateway) -> None:
    assert len(process(gateway, "one", "two")) == 1
    assert states(gateway) == ["leased", "due"]
    assert len(process(gateway, "three")) == 0
    assert len(process(gateway, "elsewhere", peer=OTHER)) == 0  # "two" is due: it has waited longer
    run_due_jobs(gateway)


def test_no_more_begin_than_there_is_room(gateway: Gateway) -> None:
    provider = gateway.providers["sandbox"]
    for index in range(5):
        call = webhook_call(gateway, "hi", peer=f"+1303555020{index}")
        gateway.receiver.receive(provider, call)
    assert len(process(gateway, free_slots=3)) == 3
    assert states(gateway) == ["leased"] * 3 + ["due"] * 2


def test_nothing_begins_at_a_paused_destination(gateway: Gateway) -> None:
    until = time.time() + 60
    gateway.store.write(
        lambda tx: circuit_breakers.pause(tx, WEBHOOK, until, "It hangs.", config=False)
    )
    assert process(gateway, "hi") == []
    assert states(gateway) == ["due"]


def test_what_is_due_already_comes_first(gateway: Gateway) -> None:
    first = process(gateway, "first")
    gateway.store.write(lambda tx: jobs.retry(tx, first[0], time.time() - 1, "again"))
    assert process(gateway, "second", peer=OTHER) == []


def test_an_accepted_push_is_recorded_with_the_next_calls(gateway: Gateway) -> None:
    (job,) = process(gateway, "one")
    gateway.delivery.perform(job)
    assert states(gateway) == ["leased"]
    (second,) = process(gateway, "two")  # its lane is free: the first is recorded before it
    assert states(gateway) == ["done", "leased"]
    gateway.delivery.perform(second)
    assert process(gateway) == []
    assert states(gateway) == ["done", "done"]


def test_what_could_not_be_recorded_is_recorded_later(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = process(gateway, "one")
    gateway.delivery.perform(job)

    def fail(*_: object, **_more: object) -> None:
        raise StorageUnwell("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(gateway.store, "write", fail)
        with pytest.raises(StorageUnwell):
            process_nothing(gateway)
    process_nothing(gateway)
    assert states(gateway) == ["done"]


def process_nothing(gateway: Gateway) -> None:
    gateway.delivery.process_inbox("w", [], lambda _: 8, print, lambda f: f())


def test_a_batch_that_was_not_committed_begins_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with_text(monkeypatch, "two")
    assert process(gateway, "one", "two") == []
    assert states(gateway) == ["due"]
    (job,) = run_due_jobs(gateway)
    assert replace(job, owner=None).kind is JobKind.PUSH

"""Failed attempts: stored with the answer, limited, removed with their job."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import delete, func, select

from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Device, Message, Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.operations import timeline
from services.store import attempts, dead_letters, jobs, workers
from services.store.database.schema import attempts as table
from services.store.database.schema import destinations as paused
from services.store.database.schema import jobs as jobs_table
from tests.conftest import NUMBER_ENTRY, PEER

Make = Callable[..., Gateway]
PHONE = Device(id="none", extension="201")


def work(gateway: Gateway) -> None:
    gateway.store.write(lambda tx: workers.beat(tx, "worker", time.time()))
    gateway.store.write(lambda tx: tx.execute(jobs_table.update().values(due=0.0)))
    gateway.delivery.deliver("worker", lambda _: 100, gateway.delivery.perform)


def failing(gateway: Gateway, *errors: SendError) -> None:
    """The carrier answers with these errors, then takes everything."""
    provider, left = gateway.providers["sandbox"], list(errors)

    def send(message: Message) -> str:
        if left:
            raise left.pop(0)
        return f"s-{message.id}"

    provider.send = send  # type: ignore[method-assign]


def test_every_failed_attempt_is_kept_with_its_answer(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    busy = SendError("Too many.", Kind.RETRY, code="429", retry_after=1.0)
    wrong = SendError("Wrong password.", Kind.CONFIG)
    failing(gateway, SendError("No answer.", Kind.RETRY), busy, wrong)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    for _ in range(4):
        gateway.store.write(lambda tx: tx.execute(delete(paused)))
        work(gateway)
    known = timeline.load(gateway.store, message.id)
    found = [(one.number, one.outcome, one.code, one.reason) for one in known.failures]
    assert found == [
        (1, "retry", None, "No answer."),
        (2, "retry", "429", "Too many."),
        (2, "config", None, "Wrong password."),
    ]
    assert known.message.status is Status.SENT


def test_success_leaves_nothing(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    assert gateway.store.read(lambda tx: tx.scalar(select(func.count()).select_from(table))) == 0


def test_few_attempts_are_kept_and_they_go_with_their_job(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    (job,) = gateway.store.read(lambda tx: jobs.of(tx, message.id))
    for index in range(attempts.MAX_ATTEMPTS + 5):
        gateway.store.write(lambda tx, n=index: attempts.add(tx, job, "retry", f"no {n}"))  # type: ignore[misc]
    kept = gateway.store.read(lambda tx: attempts.of(tx, [job.id]))
    assert [one.reason for one in kept] == [f"no {n}" for n in range(5, attempts.MAX_ATTEMPTS + 5)]
    gateway.store.write(lambda tx: tx.execute(delete(jobs_table)))
    assert gateway.store.read(lambda tx: attempts.of(tx, [job.id])) == []


def test_a_worker_that_lost_its_job_notes_nothing(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    (job,) = gateway.store.read(lambda tx: jobs.of(tx, message.id))
    for kind in (Kind.RETRY, Kind.REFUSED):
        gateway.outcomes.settle(job, SendError("Late.", kind))
    assert gateway.store.read(lambda tx: attempts.of(tx, [job.id])) == []


def test_settling_as_sent_is_refused_once_something_is_known(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER, "+13035550178")))
    work(gateway)
    assert gateway.operator_actions.settle_as_sent(message.id).status is Status.SENT
    assert not gateway.store.read(dead_letters.counts)
    actions = gateway.operator_actions
    for act in (actions.settle_as_sent, actions.send_again):
        with pytest.raises(RequestRefused, match="It is known"):
            act(message.id)

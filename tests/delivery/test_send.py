"""Sending: what follows from each failure of a carrier, and its rate limits."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import update

from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import circuit_breakers, dead_letters, rate_limits
from services.store.database.schema import jobs as job_table
from services.store.jobs import Job
from tests.conftest import NUMBER_ENTRY, PEER
from tests.message_steps import (
    PHONE,
    failing,
    jobs_of,
    make_due,
    raw_call,
    receive_call,
    run_due_jobs,
    stored,
    stored_messages,
)

Make = Callable[..., Gateway]


def test_a_send_that_certainly_failed_is_retried(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, *[SendError("Busy.", Kind.RETRY)] * 3)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    for _ in range(4):
        run_due_jobs(gateway)
        make_due(gateway)
    assert len(taken) == 1
    assert stored(gateway, message).status is Status.SENT


def test_what_may_have_been_sent_is_never_sent_again_by_itself(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    run_due_jobs(gateway)
    make_due(gateway)
    run_due_jobs(gateway)
    assert taken == []
    assert stored(gateway, message).status is Status.UNKNOWN
    with pytest.raises(RequestRefused, match="may have been sent"):
        gateway.operator_actions.retry(message.id)
    gateway.operator_actions.retry(message.id, resend_unknown=True)
    run_due_jobs(gateway)
    assert len(taken) == 1


def test_a_receipt_settles_an_unknown_send(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    run_due_jobs(gateway)
    body = f'{{"receipt": "{message.id}", "status": "delivered"}}'.encode()
    receive_call(gateway, gateway.providers["sandbox"], raw_call(gateway, body))
    assert stored(gateway, message).status is Status.DELIVERED


def test_a_refusal_says_why_and_can_be_tried_again(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, SendError("The number is a landline.", Kind.REFUSED, code="4720"))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    run_due_jobs(gateway)
    failed = stored(gateway, message)
    assert (failed.status, failed.error_code) == (Status.FAILED, "4720")
    (dead,) = gateway.store.read(lambda tx: dead_letters.newest(tx, 10))
    assert dead.error == "The number is a landline."
    assert len(gateway.operator_actions.retry(message.id)) == 1
    run_due_jobs(gateway)
    assert len(taken) == 1


def test_wrong_credentials_stop_the_carrier_and_keep_its_messages(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, SendError("Check the token.", Kind.CONFIG))
    for index in range(3):
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(f"+1303555017{index}",)))
    gateway.delivery.deliver("w", lambda _: 1, gateway.delivery.perform)
    run_due_jobs(gateway)
    assert taken == []
    (pause,) = gateway.store.read(circuit_breakers.unwell)
    assert (pause.name, pause.reason, pause.config) == ("send:sandbox", "Check the token.", True)
    make_due(gateway)
    run_due_jobs(gateway)
    assert len(taken) == 3
    assert gateway.store.read(circuit_breakers.unwell) == []


def test_retry_after_is_not_a_failed_attempt(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    failing(gateway, SendError("Slow down.", Kind.RETRY, retry_after=60))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    run_due_jobs(gateway)
    (job,) = jobs_of(gateway, message)
    assert job.attempts == 0
    assert job.due > time.time() + 50


def test_a_job_is_given_up_after_a_day(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    failing(gateway, *[SendError("Busy.", Kind.RETRY)] * 2)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    old = time.time() - 90_000
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(created_at=old)))
    run_due_jobs(gateway)
    assert stored(gateway, message).status is Status.FAILED


def test_a_rate_limit_of_the_operator_keeps_the_order(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    provider = gateway.providers["sandbox"]
    provider.number_rate = 1.0
    taken = failing(gateway)
    for index in range(5):
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(PEER,)))
    run_due_jobs(gateway)
    assert [message.text for message in taken] == ["0", "1"]
    waiting = [
        job for m in stored_messages(gateway) for job in jobs_of(gateway, m) if job.state == "due"
    ]
    assert [job.attempts for job in waiting] == [0, 0, 0]
    provider.number_rate = None
    make_due(gateway)
    run_due_jobs(gateway)
    assert [message.text for message in taken] == ["0", "1", "2", "3", "4"]


def test_no_more_sends_begin_than_the_carriers_rate_allows(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, SANDBOX_RATE="2")
    for turn in range(20):
        gateway.composer.submit(PHONE, Reply(text="Yes", to=(f"+1303555{turn:04}",)))
    begun: list[Job] = []
    gateway.delivery.deliver("w", lambda _: 16, begun.append)
    assert len(begun) == 3, "the burst of a second, and the next"
    for job in begun:
        gateway.delivery.perform(job)
    # However slow this machine is: the limit allows nothing more yet.
    gateway.store.write(lambda tx: rate_limits.shift_back(tx, -60.0))
    begun.clear()
    gateway.delivery.deliver("w", lambda _: 16, begun.append)
    assert begun == [], "nothing is taken in hand only to be put back"

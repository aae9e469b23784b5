"""Pushes: repeated with the same id, given up when the address is gone, counted."""

from collections.abc import Callable

from sqlalchemy import func, select

from services.core.errors import Kind, SendError
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import dead_letters
from services.store.database.schema import jobs as job_table
from services.store.database.schema import messages as message_table
from services.store.jobs import JobKind
from tests.conftest import NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import PHONE, failing, make_due, receive_text, run_due_jobs

Make = Callable[..., Gateway]


def test_a_push_that_fails_is_repeated_with_the_same_id(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    receiver.answers.extend([500, 302, 404])
    receive_text(gateway)
    for _ in range(4):
        run_due_jobs(gateway)
        make_due(gateway)
    (push,) = receiver.wait_for(1)
    assert receiver.ids == [f"msg_{push['data']['message']['id']}_201_received"]


def test_a_push_address_that_is_gone_is_not_tried_again(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    receiver.answers.append(410)
    receive_text(gateway)
    run_due_jobs(gateway)
    make_due(gateway)
    assert run_due_jobs(gateway) == []
    (dead,) = gateway.store.read(lambda tx: dead_letters.newest(tx, 10))
    assert dead.kind is JobKind.PUSH


def test_one_broken_destination_does_not_hold_up_another(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    failing(gateway, *[SendError("Down.", Kind.CONFIG)] * 20)
    for index in range(5):
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(PEER,)))
        receive_text(gateway, str(index))
    run_due_jobs(gateway)
    assert len(receiver.wait_for(5)) == 5


def test_every_job_is_accounted_for(make_gateway: Make, receiver: Receiver) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    failing(gateway, SendError("No.", Kind.REFUSED), SendError("Later.", Kind.RETRY))
    receiver.answers.extend([410, 500])
    for index in range(4):
        receive_text(gateway, str(index))
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(f"+1303555018{index}",)))
    run_due_jobs(gateway)
    states = gateway.store.read(
        lambda tx: [row[0] for row in tx.execute(select(job_table.c.state))]
    )
    assert sorted(states) == ["dead"] * 2 + ["done"] * 5 + ["due"] * 4
    total = gateway.store.read(
        lambda tx: tx.execute(select(func.count()).select_from(message_table)).scalar()
    )
    assert total == 8

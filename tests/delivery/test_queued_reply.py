"""A reply that waits when its extension loses the number, or the number is switched off."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store.database.schema import jobs as job_table
from services.store.jobs import JobKind
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import PHONE, failing, make_due, run_due_jobs, stored

Make = Callable[..., Gateway]


@pytest.mark.parametrize(
    ("change", "told"), [({"extensions": ["202"]}, ["202"]), ({"enabled": False}, [])]
)
def test_it_is_sent_as_it_was_accepted_and_its_status_is_told_to_nobody_who_lost_the_number(
    make_gateway: Make, receiver: Receiver, change: dict[str, object], told: list[str]
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    taken = failing(gateway, SendError("Busy.", Kind.RETRY))
    message, _ = gateway.composer.submit(PHONE, Reply(text="On my way", to=(PEER,)))
    run_due_jobs(gateway)
    assert taken == []
    gateway.settings.put(NUMBER_ENTRY | change)
    with pytest.raises(RequestRefused):
        gateway.composer.submit(PHONE, Reply(text="Another one", to=(PEER,), sender=NUMBER))
    make_due(gateway)
    run_due_jobs(gateway)
    assert [each.text for each in taken] == ["On my way"]
    assert stored(gateway, message).status is Status.SENT
    assert "201" not in [push["data"]["extension"] for push in receiver.pushes]
    pushes = select(job_table.c.target).where(job_table.c.kind == str(JobKind.PUSH))
    queued = gateway.store.read(lambda tx: [row.target for row in tx.execute(pushes)])
    assert queued == [f"webhook:{extension}" for extension in told]

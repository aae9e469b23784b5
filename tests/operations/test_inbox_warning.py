"""The warning ``inbox``: calls wait although a delivery worker is active."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import update

from services.gateway import Gateway
from services.operations.health import INBOX_SECONDS
from services.store.database.schema import inbox
from tests.message_steps import webhook_call
from tests.operations.test_health import beat


def leave_waiting(gateway: Gateway) -> None:
    gateway.receiver.receive(gateway.providers["sandbox"], webhook_call(gateway))
    past = time.time() - INBOX_SECONDS - 1
    gateway.store.write(lambda tx: tx.execute(update(inbox).values(received_at=past)))


@pytest.mark.parametrize("runs", [True, False])
def test_it_sends_to_the_log_of_a_worker_only_where_one_is_active(
    make_gateway: Callable[..., Gateway], runs: bool
) -> None:
    gateway = make_gateway()
    leave_waiting(gateway)
    if runs:
        beat(gateway, time.time())
    assert ("inbox" in [warning.name for warning in gateway.health.warnings()]) == runs
    [worker] = [check for check in gateway.health.checks() if check.name == "worker"]
    assert ("1 webhook call in the inbox" in worker.reason) == (not runs)

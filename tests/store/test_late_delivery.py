"""A delivery that is reported after a failure: the status stays, the reason warns."""

from pathlib import Path

import pytest

from services.core.errors import MAY_WORK_LATER
from services.core.messages import Status
from services.store import messages, statuses
from services.store.database.store import Store
from services.store.receipts import CONTRADICTED
from tests.conftest import PEER
from tests.store.conftest import outbound, status_event, store_outbound

OTHER = "+13035550188"
OFF = f"Phone off. {MAY_WORK_LATER}"


@pytest.mark.parametrize("participants", [(), (PEER, OTHER)], ids=["one", "group"])
def test_a_failure_that_is_contradicted_warns_of_sending_twice(
    tmp_path: Path, participants: tuple[str, ...]
) -> None:
    store = Store(None, tmp_path)
    store.migrate()
    message = store_outbound(store, outbound(participants=participants))
    assert store.write(lambda tx: statuses.advance(tx, message.id, Status.SENT, provider_id="c1"))
    for peer in participants or (PEER,):
        failed = status_event(Status.FAILED, message, peer=peer, code="30003", reason=OFF)
        store.write(lambda tx, r=failed: statuses.record_status(tx, "sandbox", r))
    late = status_event(Status.DELIVERED, message)
    changed = store.write(lambda tx: statuses.record_status(tx, "sandbox", late))
    again = store.write(lambda tx: statuses.record_status(tx, "sandbox", late))
    found = store.read(lambda tx: messages.by_id(tx, message.id))
    assert changed is not None
    assert again is None
    assert found is not None
    assert (found.status, found.error_code) == (Status.FAILED, "30003")
    assert "Phone off." in (found.error_reason or "")
    assert MAY_WORK_LATER not in (found.error_reason or "")
    assert (found.error_reason or "").count(CONTRADICTED) == 1
    store.close()


def test_a_failure_after_a_delivery_changes_nothing(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.migrate()
    message = store_outbound(store, outbound())
    assert store.write(lambda tx: statuses.advance(tx, message.id, Status.SENT, provider_id="c1"))
    for status in (Status.DELIVERED, Status.FAILED):
        event = status_event(status, message, reason="x" if status is Status.FAILED else None)
        store.write(lambda tx, r=event: statuses.record_status(tx, "sandbox", r))
    found = store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    assert (found.status, found.error_reason) == (Status.DELIVERED, None)
    store.close()

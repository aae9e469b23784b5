"""An id that a carrier gives twice: the message counts as sent, once."""

from pathlib import Path

from services.core.messages import Status
from services.store import messages, statuses
from services.store.database.store import Store
from tests.store.conftest import outbound, status_event, store_outbound


def test_an_id_that_another_message_has_leaves_the_message_sent(
    tmp_path: Path, database: str
) -> None:
    store = Store(database or None, tmp_path)
    store.migrate()
    first, second = (store_outbound(store, outbound()) for _ in range(2))
    for message in (first, second):
        assert store.write(
            lambda tx, m=message: statuses.advance(tx, m.id, Status.SENT, provider_id="same")
        )
    found = [store.read(lambda tx, m=m: messages.by_id(tx, m.id)) for m in (first, second)]
    assert [(m.status, m.provider_id) for m in found if m] == [
        (Status.SENT, "same"),
        (Status.SENT, None),
    ]
    receipt = status_event(Status.DELIVERED, second, provider_id="same", message_id=second.id)
    assert store.write(lambda tx: statuses.record_status(tx, "sandbox", receipt)) is not None
    store.close()

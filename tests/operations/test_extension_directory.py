"""Directory of extensions on both databases: devices, last seen, failed notifications."""

from collections.abc import Callable

from sqlalchemy import Connection

from services.gateway import Gateway
from services.store import devices, jobs
from services.store.jobs import JobKind
from tests.conftest import NUMBER_ENTRY
from tests.message_steps import receive_text

NTFY = {"url": "https://ntfy.sh/upAbc123"}


def test_devices_and_failed_notifications_are_counted(
    make_gateway: Callable[..., Gateway], database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)

    def prepare(tx: Connection) -> None:
        devices.add(tx, "201", "Phone", channel="ntfy", address=NTFY)
        desk, _ = devices.add(tx, "201", "Desk")
        devices.seen(tx, desk.id, 1_800_000_000.0)
        gone, _ = devices.add(tx, "205", "Gone")
        devices.revoke(tx, gone.id)
        devices.add(tx, "1000", "Phone")

    gateway.store.write(prepare)
    receive_text(gateway)

    def give_up(tx: Connection) -> None:
        for job in jobs.lease_all(tx, JobKind.PUSH, "test"):
            jobs.give_up(tx, job, "gone")

    gateway.store.write(give_up)
    found = [
        (one.extension, one.devices, one.seen_at, one.failed_pushes)
        for one in gateway.directory.find()
    ]
    assert found == [("201", 2, 1_800_000_000.0, 1), ("1000", 1, None, 0)]
    assert gateway.directory.one("205") is None

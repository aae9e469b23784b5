"""G5: disk failure at run time, after which Linux makes the file system read-only.

The disk fails between two calls, not during one: fdatasync of Linux may report success in the very
moment of the failure without having written the data (seen with a plain file, once in forty times).
"""

import os
from functools import partial

from services.operations.write_probe import VALID_SECONDS
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.disk_trouble import ACKNOWLEDGED
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import integrity_check, stored_texts
from torture.environment import TestEnvironment, require, wait_until
from torture.mounts import FailingDisk

TEXTS, CONNECTIONS = 100, 4  # before each failure, and again after it
NOTICED_SECONDS = VALID_SECONDS + 5.0  # by then /ready has tried to write again


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Let the disk fail after some texts, repair it, start again, and count the texts."""
    disk = environment.enter(FailingDisk(environment.folder / "storage"))
    server, rounds = environment.server(), scale.pick(1, 10)
    server.log = environment.folder / "server.log"
    with (server.storage / "message_settings.json").open("rb") as settings:
        os.fsync(settings.fileno())
    carrier, refused = CarrierClient(server), list[int]()
    for first in range(0, rounds * 2 * TEXTS, 2 * TEXTS):
        server.start()
        carrier.send(range(first, first + TEXTS), connections=CONNECTIONS)
        disk.fail()
        refused += _refused(server, carrier, range(first + TEXTS, first + 2 * TEXTS))
        _require_noticed(server)
        server.kill_tree()
        disk.repair()
    server.start()
    carrier.send(refused)
    server.stop()
    stored = stored_texts(server.storage)
    lost = len(carrier.acknowledged.keys() - set(stored))
    require(lost == 0, f"{lost} texts were acknowledged and are not there")
    require(len(stored) == len(set(stored)), "texts are kept twice")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    return {
        "failures of the disk": rounds,
        "texts": len(stored),
        "refused while it was read-only": len(refused),
        "false 2xx": lost,
        "unanswered": 0,
    }


def _require_noticed(server: Server) -> None:
    client = HttpClient(server)
    wait_until(
        lambda: client.call("GET", "/ready")[0] == 503,
        "the 503 of /ready on a read-only disk",
        NOTICED_SECONDS,
    )


def _refused(server: Server, carrier: CarrierClient, texts: range) -> list[int]:
    """Post texts, all of which must be answered 503; returns their numbers."""

    def some(offset: int) -> None:
        client = HttpClient(server)
        for index in texts[offset::CONNECTIONS]:
            status = carrier.post(client, index)
            require(status == 503, f"on a read-only disk a text is answered {status}")

    run_parallel([partial(some, offset) for offset in range(CONNECTIONS)])
    return [*texts]


CHECK = Check(
    name="read_only_disk",
    claim=(
        "When the disk fails and becomes read-only, no text is acknowledged that is not "
        "stored; after the repair, work continues."
    ),
    run=run,
    needs=("root", "loop", "mkfs.ext4"),
    mutants=(
        ACKNOWLEDGED,
        Mutant(
            "services/operations/write_probe.py",
            "    for step in (1, -1):",
            "    for step in (0,):",
            "the write check of the database does not write",
        ),
    ),
)

"""G5: the disk fails while it runs, and Linux makes it read-only, as it does with most disks.

Between two calls, not amid one: fdatasync of Linux itself may say yes in the very moment in which a
disk is given up, and not keep what it said yes to (seen with a plain file, once in forty times).
"""

import os
from functools import partial

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.disk_trouble import ACKNOWLEDGED
from torture.ground import Ground, demand
from torture.mounts import FailingDisk
from torture.traffic import Carrier, Line, at_once, integrity, kept

TEXTS, LINES = 100, 4  # before each failure, and again after it


def run(ground: Ground, scale: Scale) -> Figures:
    """Let it fail after some texts; mend it, start again, and see what is there."""
    disk = ground.enter(FailingDisk(ground.folder / "storage"))
    server, rounds = ground.server(), scale.pick(1, 10)
    server.log = ground.folder / "server.log"
    with (server.storage / "message_settings.json").open("rb") as settings:
        os.fsync(settings.fileno())
    carrier, refused = Carrier(server), list[int]()
    for first in range(0, rounds * 2 * TEXTS, 2 * TEXTS):
        server.start()
        carrier.send(range(first, first + TEXTS), lines=LINES)
        disk.fail()
        refused += _refused(server, carrier, range(first + TEXTS, first + 2 * TEXTS))
        status, _ = Line(server).call("GET", "/ready")
        demand(status == 503, f"on a read-only disk /ready answers {status}")
        server.kill_tree()
        disk.mend()
    server.start()
    carrier.send(refused)
    server.stop()
    stored = kept(server.storage)
    lost = len(carrier.acknowledged.keys() - set(stored))
    demand(lost == 0, f"{lost} texts were acknowledged and are not there")
    demand(len(stored) == len(set(stored)), "texts are kept twice")
    demand(integrity(server.storage) == "ok", integrity(server.storage))
    return {
        "failures of the disk": rounds,
        "texts": len(stored),
        "refused while it was read-only": len(refused),
        "false 2xx": lost,
        "unanswered": 0,
    }


def _refused(server: Server, carrier: Carrier, texts: range) -> list[int]:
    """Post texts, none of which can be kept; returns those, all."""

    def some(offset: int) -> None:
        line = Line(server)
        for index in texts[offset::LINES]:
            status = carrier.post(line, index)
            demand(status == 503, f"on a read-only disk a text is answered {status}")

    at_once([partial(some, offset) for offset in range(LINES)])
    return [*texts]


CHECK = Check(
    name="read_only_disk",
    claim=(
        "When the disk fails and becomes read-only, no text is acknowledged that is not kept; once "
        "it is mended everything goes on."
    ),
    run=run,
    needs=("root", "loop", "mkfs.ext4"),
    mutants=(
        ACKNOWLEDGED,
        Mutant(
            "services/operations/health.py",
            "    for step in (1, -1):",
            "    for step in (0,):",
            "whether a database can be written to is looked at without writing",
        ),
    ),
)

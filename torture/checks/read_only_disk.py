"""G5: the disk fails under load, and Linux makes it read-only, as it does with most disks."""

import os
import threading
from itertools import count

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Ground, demand, wait_until
from torture.mounts import FailingDisk
from torture.traffic import Carrier, Line, at_once, integrity, kept

LINES = 4


def run(ground: Ground, scale: Scale) -> Figures:
    """Let it fail while texts come; mend it, start again, and see what is there."""
    disk = ground.enter(FailingDisk(ground.folder / "storage"))
    server, rounds = ground.server(), scale.pick(1, 10)
    server.log = ground.folder / "server.log"
    with (server.storage / "message_settings.json").open("rb") as settings:
        os.fsync(settings.fileno())
    carrier, refused, numbers = Carrier(server), list[tuple[int, int]](), count()
    for _ in range(rounds):
        server.start()
        refused += _fail_under_load(server, carrier, disk, numbers)
        server.kill_tree()
        disk.mend()
    silent = sum(status == 0 for _, status in refused)
    demand(silent == 0, f"{silent} of {len(refused)} texts were not answered at all")
    server.start()
    carrier.send([index for index, _ in refused])
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
        "unanswered": silent,
    }


def _fail_under_load(
    server: Server, carrier: Carrier, disk: FailingDisk, numbers: "count[int]"
) -> list[tuple[int, int]]:
    """The texts that were refused, each with the status of its answer."""
    refused: list[tuple[int, int]] = []
    before, over = len(carrier.acknowledged), threading.Event()

    def post() -> None:
        line = Line(server)
        while not over.is_set():
            index = next(numbers)
            status = carrier.post(line, index)
            if not 200 <= status < 300:
                refused.append((index, status))

    def look() -> None:
        try:
            wait_until(lambda: len(carrier.acknowledged) >= before + 100, "a hundred texts")
            disk.fail()
            wait_until(lambda: len(refused) >= 100, "the refusal of texts on a read-only disk", 20)
        finally:
            over.set()

    at_once([look, *[post] * LINES])
    status, _ = Line(server).call("GET", "/ready")
    demand(status == 503, f"on a read-only disk /ready answers {status}")
    return refused


CHECK = Check(
    name="read_only_disk",
    claim=(
        "When the disk fails under load and becomes read-only, no text is acknowledged that is "
        "not kept; once it is mended everything goes on."
    ),
    run=run,
    needs=("root", "loop", "mkfs.ext4"),
    mutants=(
        Mutant(
            "blueprints/errors.py",
            'answer = problem(503, "storage_unwell"',
            'answer = problem(200, "storage_unwell"',
            "what could not be kept is acknowledged",
        ),
        Mutant(
            "services/health.py",
            "    for step in (1, -1):",
            "    for step in (0,):",
            "whether a database can be written to is looked at without writing",
        ),
    ),
)

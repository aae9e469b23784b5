"""G5: a disk that is full, read-only or failing: never a false 2xx, and it comes back by itself."""

import json
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from tests.server import Server
from torture import strace
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Broken, Ground, demand, serving
from torture.mounts import ROOMY_MB, SmallDisk
from torture.traffic import Carrier, Line, at_once, integrity, kept

FULL_MB = 6
WRITES = "pwrite64,fsync,fdatasync"
FAULTS = ("EIO", "ENOSPC", "EROFS")
NEVER_SECONDS = 90


def run(ground: Ground, scale: Scale) -> Figures:
    """Fill the disk, then let calls fail; post all the while, and count afterwards."""
    small = SmallDisk(ground.folder / "storage")
    server = ground.started()
    carrier = Carrier(server)
    small.resize(FULL_MB)
    fill(server.storage)
    sent = scale.pick(400, 10_000)
    refused = _post_all(server, carrier, sent)
    demand(bool(refused), "the disk was full, and everything was taken")
    silent = refused.count(0)
    demand(silent == 0, f"on a full disk {silent} of {len(refused)} calls had no answer at all")
    small.resize(ROOMY_MB)
    waits = [_until_taken(server, carrier, sent, "it has room again")]
    failed = 0
    log = ground.folder / "strace.log"
    for fault in FAULTS:
        for nth in (*range(1, scale.pick(3, 30)), "1+"):
            sent += 1
            with strace.attached(serving(server)[0], log, WRITES, f"error={fault}:when={nth}"):
                taken = 200 <= carrier.post(Line(server), sent) < 300
            hit = "(INJECTED)" in log.read_text(errors="replace")
            demand(not (hit and taken), f"{fault} at write {nth}, and the text was acknowledged")
            failed += hit
            waits.append(_until_taken(server, carrier, sent, f"{fault} at write {nth}"))
    demand(failed > 0, "no call failed")
    server.stop()
    stored = kept(server.storage)
    false_yes = len(carrier.acknowledged.keys() - set(stored))
    demand(false_yes == 0, f"{false_yes} texts were acknowledged and are not there")
    demand(len(stored) == len(set(stored)), "texts are kept twice")
    demand(integrity(server.storage) == "ok", integrity(server.storage))
    settings = json.loads((server.storage / "message_settings.json").read_bytes())
    demand(len(settings["numbers"]) == 1, "Message Settings were damaged")
    return {
        "texts": sent,
        "refused": len(refused),
        "writes that failed": failed,
        "false 2xx": false_yes,
        "seconds until it took texts again, at most": max(waits),
    }


def fill(storage: Path) -> None:
    """Write until nothing fits."""
    with (storage / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _post_all(server: Server, carrier: Carrier, most: int) -> list[int]:
    """Post texts over some lines, each once; returns how the refused ones were answered."""
    refused: list[int] = []

    def some(offset: int) -> None:
        line = Line(server)
        for index in range(offset, most, 4):
            if refused.count(0) > 10:
                return  # nothing is there any more
            status = carrier.post(line, index)
            if not 200 <= status < 300:
                refused.append(status)

    at_once([partial(some, offset) for offset in range(4)])
    return refused


def _until_taken(server: Server, carrier: Carrier, index: int, what: str) -> float:
    """How many seconds after a trouble it takes a text again."""
    start = monotonic()
    line = Line(server)
    while not 200 <= carrier.post(line, index) < 300:
        if monotonic() - start > NEVER_SECONDS:
            raise Broken(f"{what}, and {NEVER_SECONDS} s later it still takes nothing")
        sleep(0.05)
    return round(monotonic() - start, 1)


ACKNOWLEDGED = Mutant(
    "blueprints/errors.py",
    'answer = problem(503, "storage_unwell"',
    'answer = problem(200, "storage_unwell"',
    "what could not be kept is acknowledged",
)

CHECK = Check(
    name="disk_trouble",
    claim="On a full or failing disk no text is acknowledged that is not kept; it recovers alone.",
    run=run,
    needs=("strace", "root"),
    mutants=(
        Mutant(
            "gunicorn.conf.py",
            "    if _in_memory:",
            "    if False:",
            "what is counted is mapped from a disk that can be full",
        ),
        ACKNOWLEDGED,
        Mutant(
            "services/store/database/writer.py",
            "                self._leave(request)\n            self._wake_next()",
            "                self._leave(request)\n            request.error or self._wake_next()",
            "after a failed commit nobody is called to write any more",
        ),
    ),
)

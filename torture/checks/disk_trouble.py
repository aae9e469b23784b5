"""G5: full, read-only or failing disk: no false acknowledgement, and automatic recovery."""

import json
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from tests.server import Server
from torture import strace
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import integrity_check, stored_texts
from torture.environment import PromiseBroken, TestEnvironment, require, web_process_pids
from torture.mounts import NORMAL_MB, SmallDisk

FULL_MB = 6
WRITES = "pwrite64,fsync,fdatasync"
FAULTS = ("EIO", "ENOSPC", "EROFS")
RECOVERY_SECONDS = 90


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post texts while the disk is full and while system calls fail, and count afterwards."""
    small = SmallDisk(environment.folder / "storage")
    server = environment.start_server()
    carrier = CarrierClient(server)
    small.resize(FULL_MB)
    fill_disk(server.storage)
    sent = scale.pick(400, 10_000)
    refused = _post_all(server, carrier, sent)
    require(bool(refused), "the disk was full, and everything was taken")
    silent = refused.count(0)
    require(silent == 0, f"on a full disk {silent} of {len(refused)} calls had no answer at all")
    small.resize(NORMAL_MB)
    waits = [_seconds_until_accepted(server, carrier, sent, "free space again")]
    failed = 0
    log = environment.folder / "strace.log"
    for fault in FAULTS:
        for nth in (*range(1, scale.pick(3, 30)), "1+"):
            sent += 1
            with strace.attached(
                web_process_pids(server)[0], log, WRITES, f"error={fault}:when={nth}"
            ):
                taken = 200 <= carrier.post(HttpClient(server), sent) < 300
            hit = "(INJECTED)" in log.read_text(errors="replace")
            require(not (hit and taken), f"{fault} at write {nth}, and the text was acknowledged")
            failed += hit
            waits.append(_seconds_until_accepted(server, carrier, sent, f"{fault} at write {nth}"))
    require(failed > 0, "no call failed")
    server.stop()
    stored = stored_texts(server.storage)
    false_yes = len(carrier.acknowledged.keys() - set(stored))
    require(false_yes == 0, f"{false_yes} texts were acknowledged and are not there")
    require(len(stored) == len(set(stored)), "texts are kept twice")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    settings = json.loads((server.storage / "message_settings.json").read_bytes())
    require(len(settings["numbers"]) == 1, "Message Settings were damaged")
    return {
        "texts": sent,
        "refused": len(refused),
        "writes that failed": failed,
        "false 2xx": false_yes,
        "seconds until it took texts again, at most": max(waits),
    }


def fill_disk(storage: Path) -> None:
    """Write until the disk is full."""
    with (storage / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _post_all(server: Server, carrier: CarrierClient, most: int) -> list[int]:
    """Post each text once, over four connections; returns the statuses of the refused ones."""
    refused: list[int] = []

    def some(offset: int) -> None:
        client = HttpClient(server)
        for index in range(offset, most, 4):
            if refused.count(0) > 10:
                return  # the server is gone
            status = carrier.post(client, index)
            if not 200 <= status < 300:
                refused.append(status)

    run_parallel([partial(some, offset) for offset in range(4)])
    return refused


def _seconds_until_accepted(server: Server, carrier: CarrierClient, index: int, what: str) -> float:
    """Post a text until it is accepted; returns after how many seconds."""
    start = monotonic()
    client = HttpClient(server)
    while not 200 <= carrier.post(client, index) < 300:
        if monotonic() - start > RECOVERY_SECONDS:
            raise PromiseBroken(f"{what}, and {RECOVERY_SECONDS} s later it still takes nothing")
        sleep(0.05)
    return round(monotonic() - start, 1)


ACKNOWLEDGED = Mutant(
    "blueprints/errors.py",
    'answer = problem(503, "storage_unwell"',
    'answer = problem(200, "storage_unwell"',
    "a text that could not be stored is acknowledged",
)

CHECK = Check(
    name="disk_trouble",
    claim=(
        "On a full or failing disk no text is acknowledged that is not stored; recovery is "
        "automatic."
    ),
    run=run,
    needs=("strace", "root"),
    mutants=(
        ACKNOWLEDGED,
        Mutant(
            "services/store/database/writer.py",
            "                self._leave(request)\n            self._wake_next()",
            "                self._leave(request)\n            request.error or self._wake_next()",
            "after a failed commit the queue of writers stops",
        ),
    ),
)

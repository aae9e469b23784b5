"""A disk that is nearly full, and a full shared memory, as in a small container."""

import os
import signal

from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import integrity_check, stored_texts
from torture.environment import TestEnvironment, require, wait_for_count
from torture.mounts import FullSharedMemory, SmallDisk

SMALL_MB = 14


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post texts to a server on a small disk: its write-ahead log must not fill it."""
    texts = scale.pick(500, 1_000)
    small = SmallDisk(environment.folder / "storage")
    server = environment.start_server()
    small.resize(SMALL_MB)
    carrier, refused = CarrierClient(server), []

    def some(offset: int) -> None:
        client = HttpClient(server)
        for index in range(offset, texts, 4):
            status = carrier.post(client, index)
            if not 200 <= status < 300:
                refused.append(status)

    run_parallel([lambda offset=offset: some(offset) for offset in range(4)])  # type: ignore[misc]
    require(not refused, f"{len(refused)} of {texts} texts were refused: {set(refused)}")
    wait_for_count(lambda: len(set(environment.receiver.ids)), texts, "the pushes")
    log = (server.storage / "textbridge.db-wal").stat().st_size
    database = (server.storage / "textbridge.db").stat().st_size
    server.stop()
    require(sorted(stored_texts(server.storage)) == list(range(texts)), "texts are lost or twice")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    return {
        "MB of the disk": SMALL_MB,
        "texts": texts,
        "refused": 0,
        "MB of the database": round(database / 1e6, 1),
        "MB of the log": round(log / 1e6, 1),
    }


def run_without_memory(environment: TestEnvironment, scale: Scale) -> Figures:
    """Start with a full /dev/shm, and let it fill up while processes are restarted."""
    texts = scale.pick(100, 1_000)
    memory = FullSharedMemory()
    server = environment.start_server(WEB_CONCURRENCY="2")
    carrier = CarrierClient(server)
    carrier.send(range(texts))
    require(HttpClient(server).call("GET", "/metrics")[0] == 200, "/metrics does not answer")
    server.stop()
    memory.free()
    server.start()
    memory.fill()
    for pid in server.children():
        os.kill(pid, signal.SIGTERM)
    carrier.send(range(texts, 2 * texts))
    wait_for_count(lambda: len(set(environment.receiver.ids)), 2 * texts, "the pushes")
    require("SIGBUS" not in server.log.read_text(), "a process was killed by SIGBUS")
    server.stop()
    require(len(set(stored_texts(server.storage))) == 2 * texts, "texts are lost")
    return {"texts": 2 * texts, "processes killed by the full memory": 0}


CHECK = Check(
    name="small_disk",
    claim="A disk with a few free megabytes is not filled by the database's write-ahead log.",
    run=run,
    needs=("root",),
    mutants=(
        Mutant(
            "services/store/database/sqlite_files.py",
            "            if self._is_short and",
            "            if False and",
            "the write-ahead log grows as on a large disk",
        ),
    ),
)
FULL_MEMORY = Check(
    name="full_memory",
    claim="Without free space in /dev/shm, the processes start and work all the same.",
    run=run_without_memory,
    needs=("root",),
    mutants=(
        Mutant(
            "gunicorn.conf.py",
            "worker.handle_quit)\n    _reserve_metrics()",
            "worker.handle_quit)",
            "the metrics are mapped from a full memory",
        ),
    ),
)

"""A process that hangs while it writes to SQLite, and holds the write lock."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import integrity_check, stored_texts
from torture.environment import (
    TestEnvironment,
    delivery_worker_pid,
    require,
    wait_for_count,
    wait_until,
)

ANSWER_SECONDS = 3.0
HELD_SECONDS = 3.0  # until another process can write again
CALLERS = 4


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Stop the delivery worker in the middle of a write, under traffic, several times."""
    turns = scale.pick(2, 20)
    server = environment.start_server(WEB_CONCURRENCY="2")
    carrier, done = CarrierClient(server), threading.Event()
    answers: list[tuple[float, int, float]] = []  # when it began, status, seconds
    usual = 0.0
    backs: list[float] = []

    def caller(own: int) -> None:
        client, index = HttpClient(server), own * 1_000_000
        while not done.is_set():
            start = monotonic()
            status = carrier.post(client, index)
            answers.append((start, status, monotonic() - start))
            index += 200 <= status < 300
            sleep(0.005)

    def hang() -> None:
        nonlocal usual
        try:
            sleep(1.0)
            usual = max(seconds for _, _, seconds in answers)
            for _ in range(turns):
                sleep(1.0)
                backs.append(_hang_once(server, answers))
        finally:
            done.set()

    run_parallel([hang, *(lambda own=own: caller(own) for own in range(CALLERS))])
    statuses = {status for _, status, _ in answers}
    longest = max(seconds for _, _, seconds in answers)
    require(statuses <= {200, 202, 204, 503}, f"carriers heard {statuses}")
    # A machine that needs long for each text needs longer for these.
    require(longest < ANSWER_SECONDS + 2 * usual, f"an answer took {longest:.1f} s")
    require(max(backs) < HELD_SECONDS + 2 * usual, f"{max(backs):.1f} s nothing was taken")
    count = len(carrier.acknowledged)
    wait_for_count(lambda: len(set(environment.receiver.ids)), count, "the pushes")
    server.stop()
    stored = stored_texts(server.storage)
    require(len(stored) == len(set(stored)), "texts are kept twice")
    lost = carrier.acknowledged.keys() - set(stored)
    require(not lost, f"{len(lost)} texts were acknowledged and are not there")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    return {
        "workers stopped while they wrote": turns,
        "texts": count,
        "seconds of the longest answer": round(longest, 1),
        "seconds until a text was taken again, at most": round(max(backs), 1),
    }


def _hang_once(server: Server, answers: list[tuple[float, int, float]]) -> float:
    """Stop the worker while it writes; returns the seconds until a text was taken again."""
    pid = delivery_worker_pid(server)
    wait_until(lambda: _stop_while_writing(server, pid), "a write of the worker")
    start = monotonic()
    wait_until(lambda: any(_is_taken(one, start) for one in answers[-200:]), "a 2xx")
    seconds = monotonic() - start
    wait_until(lambda: pid not in server.children(), "the end of the worker")
    return seconds


def _is_taken(answer: tuple[float, int, float], since: float) -> bool:
    began, status, _ = answer
    return began > since and 200 <= status < 300


def _stop_while_writing(server: Server, pid: int) -> bool:
    """Stop a process; let it go on unless it holds the write lock at that moment."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        if _holds(pid, (server.storage / "write.lock").stat().st_ino):
            return True
        os.kill(pid, signal.SIGCONT)
    return False


def _holds(pid: int, inode: int) -> bool:
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[4] == str(pid) and fields[5].endswith(f":{inode}"):
            return True
    return False


CHECK = Check(
    name="hung_writer",
    claim=(
        "A delivery worker that is stopped while it writes to SQLite keeps texts from being taken "
        "for three seconds at most."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/store/database/write_lock.py",
            "            os.kill(pid, signal.SIGKILL)\n",
            "            return False\n",
            "a process that hangs keeps the write lock",
        ),
    ),
)

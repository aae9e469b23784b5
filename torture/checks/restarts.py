"""G13: reload and rolling restart under load without a refused, lost or repeated text."""

import os
import signal
import threading
from time import monotonic, sleep

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import integrity_check, stored_texts
from torture.environment import TestEnvironment, require, wait_for_count, wait_until

CALLERS = 4
LONGEST_SECONDS = 1.0


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post each text once, over a new connection, while processes are restarted."""
    renewals = scale.pick(4, 100)
    server = environment.start_server(WEB_CONCURRENCY="2")
    carrier, done = CarrierClient(server), threading.Event()
    refused: list[int] = []
    sent = [0] * CALLERS
    waits: list[float] = []

    def caller(own: int) -> None:
        while not done.is_set():
            client, start = HttpClient(server), monotonic()
            status = carrier.post(client, own * 1_000_000 + sent[own])
            waits.append(monotonic() - start)
            client.close()
            sent[own] += 1
            if not 200 <= status < 300:
                refused.append(status)
            sleep(0.01)

    usual = 0.0

    def renew() -> None:
        nonlocal usual
        try:
            sleep(2.0)
            usual = max(waits)
            for turn in range(renewals):
                _reload(server) if turn % 2 == 0 else _roll(server)
        finally:
            done.set()

    run_parallel([renew, *(lambda own=own: caller(own) for own in range(CALLERS))])
    texts = sum(sent)
    # A machine that is slow without reloads is not made quicker by them.
    allowed = max(LONGEST_SECONDS, 3 * usual)
    require(max(waits) < allowed, f"a text waited {max(waits):.1f} s, before {usual:.1f} s")
    require(not refused, f"{len(refused)} of {texts} texts were refused: {sorted(set(refused))}")

    def pushes() -> list[str]:
        return [i for i in list(environment.receiver.ids) if i.endswith("_received")]

    wait_for_count(lambda: len(set(pushes())), texts, "the pushes")
    server.stop()
    require(len(set(stored_texts(server.storage))) == texts, "texts are lost")
    require(len(pushes()) == texts, f"{len(pushes()) - texts} pushes were repeated")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    return {
        "renewals": renewals,
        "texts": texts,
        "refused": 0,
        "seconds of the longest wait": round(max(waits), 2),
        "lost": 0,
        "pushes repeated": 0,
    }


def _reload(server: Server) -> None:
    """Restart all processes at once, as ``flask config reload`` and ``systemctl reload`` do."""
    before = set(server.children())
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: not before & set(server.children()), "the end of the old processes")
    wait_until(lambda: len(server.children()) == 3, "the new processes")


def _roll(server: Server) -> None:
    """Restart one process after the other."""
    for pid in server.children():
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda pid=pid: pid not in server.children(), "the end of an old process")  # type: ignore[misc]
        wait_until(lambda: len(server.children()) == 3, "a new process")


CHECK = Check(
    name="restarts",
    claim=(
        "A reload or rolling restart under load refuses, loses and repeats no text, and lets none "
        "wait for a second."
    ),
    run=run,
    mutants=(
        Mutant(
            "gunicorn.conf.py",
            "        worker.delivers = False",
            "        os.kill(worker.pid, signal.SIGKILL)",
            "a reload kills running work",
        ),
        Mutant(
            "gunicorn.conf.py",
            "if self.handover.generation == self.generation:",
            "if True:",
            "the old processes go before the new ones are ready",
        ),
    ),
)

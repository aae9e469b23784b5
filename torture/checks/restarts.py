"""G13: the service is renewed under load, and nobody who writes to it notices."""

import os
import signal
import threading
from time import sleep

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Ground, demand, wait_for, wait_until
from torture.traffic import Carrier, Line, at_once, integrity, kept

CALLERS = 4


def run(ground: Ground, scale: Scale) -> Figures:
    """Post texts, each once and over a connection of its own, while processes are renewed."""
    renewals = scale.pick(4, 100)
    server = ground.started(WEB_CONCURRENCY="2")
    carrier, done = Carrier(server), threading.Event()
    refused: list[int] = []
    sent = [0] * CALLERS

    def caller(own: int) -> None:
        while not done.is_set():
            line = Line(server)
            status = carrier.post(line, own * 1_000_000 + sent[own])
            line.close()
            sent[own] += 1
            if not 200 <= status < 300:
                refused.append(status)
            sleep(0.01)

    def renew() -> None:
        try:
            for turn in range(renewals):
                _reload(server) if turn % 2 == 0 else _roll(server)
        finally:
            done.set()

    at_once([renew, *(lambda own=own: caller(own) for own in range(CALLERS))])
    texts = sum(sent)
    demand(not refused, f"{len(refused)} of {texts} texts were refused: {sorted(set(refused))}")

    def pushes() -> list[str]:
        return [i for i in list(ground.receiver.ids) if i.endswith("_received")]

    wait_for(lambda: len(set(pushes())), texts, "the pushes")
    server.stop()
    demand(len(set(kept(server.storage))) == texts, "texts are lost")
    demand(len(pushes()) == texts, f"{len(pushes()) - texts} pushes were repeated")
    demand(integrity(server.storage) == "ok", integrity(server.storage))
    return {"renewals": renewals, "texts": texts, "refused": 0, "lost": 0, "pushes repeated": 0}


def _reload(server: Server) -> None:
    """All processes at once, as ``flask config reload`` and ``systemctl reload`` do."""
    before = set(server.children())
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: not before & set(server.children()), "the end of the old processes")
    wait_until(lambda: len(server.children()) == 3, "the new processes")


def _roll(server: Server) -> None:
    """One process after the other."""
    for pid in server.children():
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda pid=pid: pid not in server.children(), "the end of an old process")  # type: ignore[misc]
        wait_until(lambda: len(server.children()) == 3, "a new process")


CHECK = Check(
    name="restarts",
    claim="Renewed under load, all at once or one by one, it refuses, loses and repeats nothing.",
    run=run,
    mutants=(
        Mutant(
            "gunicorn.conf.py",
            "        worker.delivers = False",
            "        os.kill(worker.pid, signal.SIGKILL)",
            "a reload ends what is in hand",
        ),
    ),
)

"""G1: killed at random under load, what was acknowledged is there once and is pushed."""

import os
import random
import signal
import threading
import time
from collections import Counter

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Broken, Ground, delivering, demand, serving, wait_for
from torture.traffic import Carrier, integrity, kept


class Killer(threading.Thread):
    """Kills the worker, a web process and the whole tree in turn, and starts the tree again."""

    def __init__(self, server: Server, every: float, most: int) -> None:
        super().__init__(daemon=True)
        self.kills: Counter[str] = Counter()
        self.failed: BaseException | None = None
        self.enough = threading.Event()
        self._server = server
        self._every = every
        self._most = most
        self._chance = random.Random(7)

    def run(self) -> None:
        try:
            while self.kills.total() < self._most:
                pause = self._chance.uniform(0.3, 1.7) * self._every
                if self.enough.wait(pause):
                    return
                self._kill(("worker", "web", "tree")[self.kills.total() % 3])
        except BaseException as error:
            self.failed = error

    def _kill(self, whom: str) -> None:
        if whom == "tree":
            self._server.kill_tree()
            self._server.start()
        else:
            pids = serving(self._server) if whom == "web" else [delivering(self._server)]
            os.kill(self._chance.choice(pids), signal.SIGKILL)
        self.kills[whom] += 1


def run(ground: Ground, scale: Scale) -> Figures:
    """Post texts, some of them twice, while processes are killed; then count."""
    texts, kills = scale.pick(2_000, 100_000), scale.pick(6, 50)
    server = ground.started(WEB_CONCURRENCY="2")
    carrier = Carrier(server)
    killer = Killer(server, scale.pick(1.5, 2.5), kills)
    killer.start()
    start = time.monotonic()
    sent = 0
    while sent < texts or (killer.is_alive() and sent < 5 * texts):  # kills want traffic
        part = min(500, texts)
        carrier.send(range(sent, sent + part), twice=lambda index: index % 50 == 0)
        sent += part
    killer.enough.set()
    killer.join(60)
    if killer.failed is not None:
        raise Broken(f"it did not come back: {killer.failed}")
    seconds = time.monotonic() - start

    def pushes() -> Counter[str]:
        return Counter(i for i in list(ground.receiver.ids) if i.endswith("_received"))

    wait_for(lambda: len(pushes()), sent, "the pushes")
    law = server.flask("messages", "check")
    demand(law.returncode == 0, f"the conservation law is broken: {law.stdout}")
    server.stop()
    found, told = Counter(kept(server.storage)), pushes()
    lost = len(carrier.acknowledged.keys() - set(found))
    twice = sum(found.values()) - len(found)
    repeated = told.total() - len(told)
    unpushed = len(found) - len(told)
    demand(killer.kills.total() == kills, f"only {killer.kills.total()} kills")
    demand(lost == 0, f"{lost} acknowledged texts are lost")
    demand(twice == 0, f"{twice} texts are stored twice")
    demand(unpushed == 0, f"{unpushed} texts were not pushed")
    demand(repeated <= kills, f"{repeated} pushes were repeated after {kills} kills")
    demand(integrity(server.storage) == "ok", integrity(server.storage))
    return {
        "webhooks": sent + carrier.repeats,
        "kills": kills,
        "lost": lost,
        "stored twice": twice,
        "unpushed": unpushed,
        "pushes repeated with the same id": repeated,
        "webhooks a second": round((sent + carrier.repeats) / seconds),
    }


UNBOOKED = Mutant(
    "services/store/messages.py",
    "audit_counters.add(tx, Entry.REPEATED)",
    "pass",
    "what comes twice is not counted, so that the conservation law does not hold",
)

TOO_EARLY = Mutant(
    "services/messaging/receive.py",
    "outcomes = self._processor.process(provider, call, provider.parse(call))",
    'outcomes = []; __import__("gevent").spawn_later('
    "0.2, self._processor.process, provider, call, list(provider.parse(call)))",
    "texts are acknowledged before they are on disk",
)

CHECK = Check(
    name="random_kills",
    claim="Killed at random under load, every acknowledged text is kept once and pushed, and the "
    "conservation law holds.",
    run=run,
    mutants=(
        TOO_EARLY,
        UNBOOKED,
        Mutant(
            "services/store/database/migrations/versions/0001_first.py",
            'sa.UniqueConstraint("provider", "provider_id", "number"),',
            "",
            "nothing keeps a text that comes twice from being kept twice",
        ),
        Mutant(
            "services/delivery/worker.py",
            "self._outcomes.reclaim(",
            "max(",
            "the jobs of a killed worker are not taken back",
        ),
    ),
)

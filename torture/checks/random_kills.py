"""G1: random kills under load: every acknowledged text is stored once and pushed."""

import os
import random
import signal
import threading
import time
from collections import Counter

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient
from torture.database import integrity_check, stored_texts
from torture.environment import (
    PromiseBroken,
    TestEnvironment,
    delivery_worker_pid,
    require,
    wait_for_count,
    web_process_pids,
)

IN_HAND = 16  # pushes that a worker may have in hand, as promised in docs/reliability.md


class Killer(threading.Thread):
    """Kills the worker, a web process and all processes in turn; restarts after the last."""

    def __init__(self, server: Server, interval: float, max_kills: int) -> None:
        super().__init__(daemon=True)
        self.kills: Counter[str] = Counter()
        self.failed: BaseException | None = None
        self.stop = threading.Event()
        self._server = server
        self._interval = interval
        self._max_kills = max_kills
        self._chance = random.Random(7)

    def run(self) -> None:
        try:
            while self.kills.total() < self._max_kills:
                pause = self._chance.uniform(0.3, 1.7) * self._interval
                if self.stop.wait(pause):
                    return
                self._kill(("worker", "web", "tree")[self.kills.total() % 3])
        except BaseException as error:
            self.failed = error

    def _kill(self, target: str) -> None:
        if target == "tree":
            self._server.kill_tree()
            self._server.start()
        else:
            pids = (
                web_process_pids(self._server)
                if target == "web"
                else [delivery_worker_pid(self._server)]
            )
            os.kill(self._chance.choice(pids), signal.SIGKILL)
        self.kills[target] += 1


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post texts, some of them twice, while processes are killed; then count."""
    texts, kills = scale.pick(2_000, 100_000), scale.pick(6, 50)
    server = environment.start_server(WEB_CONCURRENCY="2")
    carrier = CarrierClient(server)
    killer = Killer(server, scale.pick(1.5, 2.5), kills)
    killer.start()
    start = time.monotonic()
    sent = 0
    while sent < texts or (killer.is_alive() and sent < 5 * texts):  # kills need traffic
        part = min(500, texts)
        carrier.send(range(sent, sent + part), twice=lambda index: index % 50 == 0)
        sent += part
    killer.stop.set()
    killer.join(60)
    if killer.failed is not None:
        raise PromiseBroken(f"it did not come back: {killer.failed}")
    seconds = time.monotonic() - start

    def pushes() -> Counter[str]:
        return Counter(i for i in list(environment.receiver.ids) if i.endswith("_received"))

    wait_for_count(lambda: len(pushes()), sent, "the pushes")
    audit = server.flask("messages", "check")
    require(audit.returncode == 0, f"the conservation law is broken: {audit.stdout}")
    server.stop()
    found, pushed = Counter(stored_texts(server.storage)), pushes()
    lost = len(carrier.acknowledged.keys() - set(found))
    twice = sum(found.values()) - len(found)
    repeated = pushed.total() - len(pushed)
    unpushed = len(found) - len(pushed)
    require(killer.kills.total() == kills, f"only {killer.kills.total()} kills")
    require(lost == 0, f"{lost} acknowledged texts are lost")
    require(twice == 0, f"{twice} texts are stored twice")
    require(unpushed == 0, f"{unpushed} texts were not pushed")
    most = kills * IN_HAND
    require(repeated <= most, f"{repeated} pushes were repeated after {kills} kills")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    return {
        "webhooks": sent + carrier.repeats,
        "kills": kills,
        "lost": lost,
        "stored twice": twice,
        "unpushed": unpushed,
        "pushes repeated with the same id": repeated,
        "webhooks a second": round((sent + carrier.repeats) / seconds),
    }


REPEAT_NOT_COUNTED = Mutant(
    "services/store/messages.py",
    "audit_counters.add(tx, AuditCounter.REPEATED, len(kept) - len(stored))",
    "pass",
    "a repeated text is not counted, which violates an invariant",
)

ACKNOWLEDGED_TOO_EARLY = Mutant(
    "services/messaging/receive.py",
    "self._store.write(lambda tx: inbox.add(tx, provider.name, call))",
    '__import__("gevent").spawn_later('
    "0.2, self._store.write, lambda tx: inbox.add(tx, provider.name, call))",
    "texts are acknowledged before they are on disk",
)

CHECK = Check(
    name="random_kills",
    claim=(
        "Under random kills and load, every acknowledged text is stored once and pushed, "
        "and the audit finds no violated invariant."
    ),
    run=run,
    mutants=(
        ACKNOWLEDGED_TOO_EARLY,
        REPEAT_NOT_COUNTED,
        Mutant(
            "services/store/database/migrations/versions/0018_repeats.py",
            "unique=True,",
            "unique=False,",
            "no constraint prevents a repeated text from being stored twice",
        ),
        Mutant(
            "services/delivery/worker.py",
            "self._outcomes.reclaim(",
            "max(",
            "the jobs of a killed worker are not reclaimed",
        ),
    ),
)

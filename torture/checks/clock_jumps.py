"""G24: the system clock jumps by seconds, days and years; nothing is lost or late."""

import json
import threading
from collections import Counter
from time import sleep

from tests.fakes.receiver import Receiver
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, CarrierClient, run_parallel
from torture.clock import WallClock
from torture.database import integrity_check, reply_statuses, stored_texts
from torture.environment import TestEnvironment, require, wait_for_count

DAY, YEAR = 86_400, 31_557_600
JUMPS = (-2, DAY, -DAY, 10 * YEAR, 0, -10 * YEAR, -DAY, 3600)  # seconds from the true time
LATE_SECONDS = 60  # without progress
ENDS = ("sent", "delivered", "unknown")


class ClocklessReceiver(Receiver):
    """Fake app server that ignores the time of a signature, and sometimes answers 503."""

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        with self._changed:
            status = self.answers.popleft() if self.answers else 204
            if status < 300:
                self.pushes.append(json.loads(body))
                self.ids.append({k.lower(): v for k, v in headers.items()}["webhook-id"])
            return status


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Let the clock jump while texts and replies are processed."""
    jumps = scale.pick(len(JUMPS), 100)
    clock = WallClock(environment.folder)
    environment.receiver = environment.enter(ClocklessReceiver())
    server = environment.start_server(WEB_CONCURRENCY="2", **clock.env)
    carrier, app, done = CarrierClient(server), AppClient(server), threading.Event()
    replies: list[str] = []
    texts = 0

    def jump() -> None:
        try:
            for turn in range(jumps):
                environment.receiver.answers.append(
                    503
                )  # something waits for another try meanwhile
                sleep(0.25)
                clock.move_to(JUMPS[turn % len(JUMPS)])
                sleep(0.25)
        finally:
            done.set()

    def traffic() -> None:
        nonlocal texts
        while not done.is_set():
            carrier.send(range(texts, texts + 20), connections=2)
            texts += 20
            replies.append(app.reply(f"c{texts}"))

    run_parallel([jump, traffic])

    def pushes() -> Counter[str]:
        return Counter(i for i in list(environment.receiver.ids) if i.endswith("_received"))

    def ended() -> int:
        return sum(status in ENDS for status in reply_statuses(server.storage).values())

    wait_for_count(lambda: len(pushes()), texts, "the pushes", LATE_SECONDS)
    wait_for_count(ended, len(replies), "the ends of the replies", LATE_SECONDS)
    server.stop()
    out = Counter(message["text"] for message in environment.bandwidth.accepted)
    stored = stored_texts(server.storage)
    require(sorted(stored) == list(range(texts)), "texts are lost or kept twice")
    require(len(out) == out.total() == len(replies), "replies were lost or sent twice")
    require(pushes().total() == texts, f"{pushes().total() - texts} pushes were repeated")
    require(integrity_check(server.storage) == "ok", integrity_check(server.storage))
    return {
        "jumps": jumps,
        "texts": texts,
        "replies": len(replies),
        "lost": 0,
        "sent twice": 0,
        f"jobs more than {LATE_SECONDS} s late": 0,
    }


CHECK = Check(
    name="clock_jumps",
    claim=("When the clock jumps by days and years, nothing is lost, repeated or a minute late."),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/worker.py",
            "if back > CLOCK_STEP_SECONDS:",
            "if False:",
            "waiting jobs keep their due times of the old clock",
        ),
    ),
)

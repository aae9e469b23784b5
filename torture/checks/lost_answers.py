"""G6: the carrier accepts a reply, and its answer is lost."""

import os
import signal
import threading
from collections import Counter
from typing import Any

from tests.fakes.bandwidth import Answer, FakeBandwidth, Odd, Place, Trouble
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, run_parallel
from torture.clock import WallClock
from torture.database import open_jobs, reply_statuses
from torture.environment import TestEnvironment, delivery_worker_pid, require, wait_until

EVERY = 20  # of 20 accepted messages, one answer is cut, and at one the worker is killed
CONFIRMED_STATUSES = {"sent", "delivered"}


class LosingAnswers(FakeBandwidth):
    """Fake carrier that cuts some answers, requests kills, and sends half of the receipts.

    The status of the other messages is known only from its list.
    """

    def __init__(self) -> None:
        super().__init__(fates=("message-delivered",))
        self.cuts = 0
        self.killed = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._asked = 0

    def odd_for(self, place: Place) -> Odd | None:
        if place != "messages":
            return None
        with self._lock:
            self._asked += 1
            cut = self._asked % EVERY == 0
            self.cuts += cut
        return Trouble.CUT if cut else None

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        if message is not None and len(self.accepted) % EVERY == EVERY // 2:
            self.killed.release()
            self.wait(0.5)  # so that the kill happens before the answer
        return answer, message

    def tell_later(self, message: dict[str, Any]) -> None:
        if int(message["to"][0][-1]) % 2:
            super().tell_later(message)


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Send while answers are lost, wait until all statuses are known, and count."""
    replies = scale.pick(60, 1000)
    bandwidth = LosingAnswers()
    environment.bandwidth = environment.enter(bandwidth)
    clock = WallClock(environment.folder)
    server = environment.start_server(**clock.env)
    app = AppClient(server)
    over = threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        while not over.is_set():
            if bandwidth.killed.acquire(timeout=0.1):
                os.kill(delivery_worker_pid(server), signal.SIGKILL)
                kills += 1

    def send() -> None:
        try:
            for number in range(replies):
                app.reply(f"c{number}", to=f"+1303555{number:04}")
            wait_until(lambda: not open_jobs(server.storage, "send"), "the end of the sends", 300)
        finally:
            over.set()

    run_parallel([kill, send])
    doubtful = sum(status == "unknown" for status in reply_statuses(server.storage).values())
    clock.advance(15)  # when the carrier is asked for the first time

    def lost() -> set[str]:
        ends = reply_statuses(server.storage)
        known = {text for text, status in ends.items() if status in CONFIRMED_STATUSES}
        return {message["text"] for message in bandwidth.accepted} - known

    wait_until(lambda: not lost(), "the end of all that the carrier has")
    ends = reply_statuses(server.storage)
    taken = Counter(message["text"] for message in bandwidth.accepted)
    known = {text for text, status in ends.items() if status in CONFIRMED_STATUSES}
    hidden = {text for text, status in ends.items() if text not in taken and status != "unknown"}
    require(len(ends) == replies, f"{len(ends)} of {replies} replies are kept")
    require(taken.total() == len(taken), f"{taken.total() - len(taken)} replies were sent twice")
    require(known == set(taken), f"{len(known - set(taken))} are shown as sent that were not")
    require(not hidden, f"{len(hidden)} were not sent and are not shown as unknown")
    require(bool(bandwidth.cuts and kills), "nothing was cut or killed")
    return {
        "replies": replies,
        "answers cut": bandwidth.cuts,
        "workers killed": kills,
        "sent twice": 0,
        "in doubt at first": doubtful,
        "of these settled": doubtful - (replies - len(known)),
        "of these visibly unknown": replies - len(known),
    }


CHECK = Check(
    name="lost_answers",
    claim=(
        "When the carrier accepts a reply and its answer is lost, the reply is never sent "
        "twice: its status comes from the carrier's receipt or list, or is unknown."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/outcome.py",
            "if kind is Kind.UNKNOWN and job.kind is not JobKind.SEND:",
            "if kind is Kind.UNKNOWN:",
            "what may have been sent is sent again",
        ),
        Mutant(
            "services/delivery/outcome.py",
            "if status is Status.UNKNOWN and provider is not None and provider.lookup_seconds:",
            "if False:",
            "the carrier's list is never read",
        ),
    ),
)

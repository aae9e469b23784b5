"""G6: the carrier takes a reply, and Textbridge never hears that it did."""

import os
import signal
import threading
from collections import Counter
from typing import Any

from tests.fakes.bandwidth import Answer, FakeBandwidth, Odd, Place, Trouble
from torture.check import Check, Figures, Mutant, Scale
from torture.clock import WallClock
from torture.ground import Ground, delivering, demand, wait_until
from torture.traffic import App, at_once, open_jobs, sent

EVERY = 20  # of so many messages that are taken, one answer is cut, and at one the worker is killed
TRACED = {"sent", "delivered"}


class Forgetful(FakeBandwidth):
    """A carrier that cuts some answers, kills at others, and tells of every other message only
    when it is asked."""

    def __init__(self) -> None:
        super().__init__(fates=("message-delivered",))
        self.cuts = 0
        self.killed = threading.Semaphore(0)
        self._write_lock = threading.Lock()
        self._asked = 0

    def odd_for(self, place: Place) -> Odd | None:
        if place != "messages":
            return None
        with self._write_lock:
            self._asked += 1
            cut = self._asked % EVERY == 0
            self.cuts += cut
        return Trouble.CUT if cut else None

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        if message is not None and len(self.accepted) % EVERY == EVERY // 2:
            self.killed.release()
            self.wait(0.5)  # killed before it could be answered
        return answer, message

    def tell_later(self, message: dict[str, Any]) -> None:
        if int(message["to"][0][-1]) % 2:
            super().tell_later(message)


def run(ground: Ground, scale: Scale) -> Figures:
    """Send while answers are lost, then let ten minutes pass and count."""
    replies = scale.pick(60, 1000)
    bandwidth = Forgetful()
    ground.bandwidth = ground.enter(bandwidth)
    clock = WallClock(ground.folder)
    server = ground.started(**clock.env)
    app = App(server)
    over = threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        while not over.is_set():
            if bandwidth.killed.acquire(timeout=0.1):
                os.kill(delivering(server), signal.SIGKILL)
                kills += 1

    def send() -> None:
        try:
            for number in range(replies):
                app.reply(f"c{number}", to=f"+1303555{number:04}")
            wait_until(lambda: not open_jobs(server.storage, "send"), "the end of the sends", 300)
        finally:
            over.set()

    at_once([kill, send])
    doubtful = sum(status == "unknown" for status in sent(server.storage).values())
    clock.skip(15)  # when the carrier is asked for the first time

    def lost() -> set[str]:
        ends = sent(server.storage)
        known = {text for text, status in ends.items() if status in TRACED}
        return {message["text"] for message in bandwidth.accepted} - known

    wait_until(lambda: not lost(), "the end of all that the carrier has")
    ends = sent(server.storage)
    taken = Counter(message["text"] for message in bandwidth.accepted)
    known = {text for text, status in ends.items() if status in TRACED}
    hidden = {text for text, status in ends.items() if text not in taken and status != "unknown"}
    demand(len(ends) == replies, f"{len(ends)} of {replies} replies are kept")
    demand(taken.total() == len(taken), f"{taken.total() - len(taken)} replies were sent twice")
    demand(known == set(taken), f"{len(known - set(taken))} are shown as sent that were not")
    demand(not hidden, f"{len(hidden)} were not sent and are not shown as unknown")
    demand(bool(bandwidth.cuts and kills), "nothing was cut or killed")
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
        "When the carrier takes a reply and its answer is lost, the reply is never sent twice: its "
        "end is known from the carrier's receipt or list, or it is shown as unknown."
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
            "the carrier is never asked what became of it",
        ),
    ),
)

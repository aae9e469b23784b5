"""G11: a carrier and a push service that hang, beside healthy ones."""

import json
from collections.abc import Callable
from itertools import count
from time import monotonic, sleep
from typing import Any

from tests.fakes.bandwidth import Answer, FakeBandwidth
from tests.fakes.receiver import Receiver
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import DESK, NUMBER, Ground, demand, wait_for
from torture.hole import Hole
from torture.traffic import App, Carrier, Line

RATE = 20  # a second: what the healthy side is asked to do, well below what it could
HUNG = 24  # things under way to the hung side, more than the slots of a destination
LEAST = 0.95
TRIES = 3  # what hangs holds others up each time; a busy machine does not
OTHER, OTHERS = "+12025550144", "202"


class Timed(FakeBandwidth):
    """A carrier that notes when it takes a message."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        self.times.append(monotonic())
        return super().take(content_type, body)


class TimedReceiver(Receiver):
    """An app's server that notes when it has the push of a text to ``NUMBER``."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        told = json.loads(body)
        message = told["data"]["message"] or {}
        if told["type"] == "message.received" and message["to"] == [NUMBER]:
            self.times.append(monotonic())
        return super()._take(headers, body)


def run(ground: Ground, scale: Scale) -> Figures:
    """Measure the pace of the healthy side alone, and again beside what hangs."""
    things = scale.pick(60, 300)
    bandwidth, receiver = Timed(), TimedReceiver()
    ground.bandwidth, ground.receiver = ground.enter(bandwidth), ground.enter(receiver)
    hole = ground.enter(Hole())
    server = ground.started(
        numbers=[DESK, {"number": OTHER, "carrier": "wavix", "extensions": [OTHERS]}],
        BANDWIDTH_RATE=str(RATE),
        WAVIX_API_KEY="key-of-the-tests",
        WAVIX_BASE_URL=hole.url,
        PUSH_HOSTS=hole.url,
    )
    app, other, line, numbers = App(server), App(server, OTHERS), Line(server), count()
    carrier, others = Carrier(server), Carrier(server, OTHER)
    other.push_at("ntfy", server=hole.url, topic="phone")

    def sends() -> float:
        def send() -> None:
            for _ in range(things):
                number = next(numbers)
                app.reply(f"c{number}", to=f"+1303555{number % 10_000:04}")

        return _pace(bandwidth.times, send, things)

    def pushes() -> float:
        def texts() -> None:
            start = monotonic()
            for turn in range(things):
                sleep(max(0.0, start + turn / RATE - monotonic()))
                carrier.insist(line, next(numbers))

        return _pace(receiver.times, texts, things)

    send_alone, push_alone = sends(), pushes()
    sending = pushing = 0.0
    for _ in range(TRIES):
        for _ in range(HUNG):
            other.reply(f"h{next(numbers)}", to=f"+1720555{next(numbers):04}")
            others.insist(line, next(numbers))
        sending = max(sending, sends() / send_alone)
        pushing = max(pushing, pushes() / push_alone)
        if min(sending, pushing) >= LEAST:
            break
    demand(sending >= LEAST, f"beside a hung carrier, {sending:.0%} of the pace is left")
    demand(pushing >= LEAST, f"beside a hung push service, {pushing:.0%} of the pace is left")
    return {
        "under way to each of the hung": HUNG,
        "replies and pushes": 4 * things,
        "pace beside a hung carrier, in %": round(100 * sending),
        "pace beside a hung push service, in %": round(100 * pushing),
    }


def _pace(times: list[float], work: Callable[[], object], things: int) -> float:
    """Things a second that arrive while some work is done."""
    start, before = monotonic(), len(times)
    work()
    wait_for(lambda: len(times), before + things, "what the healthy side does")
    return things / (times[before + things - 1] - start)


CHECK = Check(
    name="slow_carrier",
    claim=(
        "Beside a carrier or a push service that hangs, the healthy ones keep at least 95 % of "
        "their pace."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/delivery/worker.py",
            "return SLOTS - self._in_hand[destination]",
            "return SLOTS - self._in_hand.total()",
            "all destinations share the slots",
        ),
        Mutant(
            "services/push/ntfy.py",
            "return f\"push:{self.name}:{host_of(address, 'server')}\"",
            'return "push:webhook"',
            "push services share the slots",
        ),
    ),
)

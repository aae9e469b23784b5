"""G11: a carrier and a push service that hang must not slow down the healthy ones."""

import json
from collections.abc import Callable
from itertools import count
from time import monotonic, sleep
from typing import Any

from tests.fakes.bandwidth import Answer, FakeBandwidth
from tests.fakes.receiver import Receiver
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, CarrierClient, HttpClient
from torture.environment import NUMBER, NUMBER_SETTINGS, TestEnvironment, require, wait_for_count
from torture.silent_server import SilentServer

RATE = 20  # a second: load of the healthy side, well below its capacity
HUNG = 24  # jobs in progress to the hung side, more than the slots of a destination
MIN_SHARE = 0.95
TRIES = 3  # a real delay would show in every try; a busy machine does not
OTHER, OTHERS = "+12025550144", "202"


class TimedBandwidth(FakeBandwidth):
    """Fake carrier that records the time of each accepted message."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        self.times.append(monotonic())
        return super().take(content_type, body)


class TimedReceiver(Receiver):
    """Fake app server that records the time of each push of a text to ``NUMBER``."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        event = json.loads(body)
        message = event["data"]["message"] or {}
        if event["type"] == "message.received" and message["to"] == [NUMBER]:
            self.times.append(monotonic())
        return super()._take(headers, body)


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Measure the rate of the healthy side alone, and again while the other side hangs."""
    things = scale.pick(60, 300)
    bandwidth, receiver = TimedBandwidth(), TimedReceiver()
    environment.bandwidth, environment.receiver = (
        environment.enter(bandwidth),
        environment.enter(receiver),
    )
    silent_server = environment.enter(SilentServer())
    server = environment.start_server(
        numbers=[NUMBER_SETTINGS, {"number": OTHER, "carrier": "wavix", "extensions": [OTHERS]}],
        BANDWIDTH_RATE=str(RATE),
        WAVIX_API_KEY="key-of-the-tests",
        WAVIX_BASE_URL=silent_server.url,
        PUSH_HOSTS=silent_server.url,
    )
    app, other, client, numbers = (
        AppClient(server),
        AppClient(server, OTHERS),
        HttpClient(server),
        count(),
    )
    carrier, others = CarrierClient(server), CarrierClient(server, OTHER)
    other.register_push("ntfy", server=silent_server.url, topic="phone")

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
                carrier.post_until_accepted(client, next(numbers))

        return _pace(receiver.times, texts, things)

    send_alone, push_alone = sends(), pushes()
    sending = pushing = 0.0
    for _ in range(TRIES):
        for _ in range(HUNG):
            other.reply(f"h{next(numbers)}", to=f"+1720555{next(numbers):04}")
            others.post_until_accepted(client, next(numbers))
        sending = max(sending, sends() / send_alone)
        pushing = max(pushing, pushes() / push_alone)
        if min(sending, pushing) >= MIN_SHARE:
            break
    require(sending >= MIN_SHARE, f"beside a hung carrier, {sending:.0%} of the pace is left")
    require(pushing >= MIN_SHARE, f"beside a hung push service, {pushing:.0%} of the pace is left")
    return {
        "under way to each of the hung": HUNG,
        "replies and pushes": 4 * things,
        "pace beside a hung carrier, in %": round(100 * sending),
        "pace beside a hung push service, in %": round(100 * pushing),
    }


def _pace(times: list[float], work: Callable[[], object], things: int) -> float:
    """Sends or pushes a second that arrive while ``work`` runs."""
    start, before = monotonic(), len(times)
    work()
    wait_for_count(lambda: len(times), before + things, "what the healthy side does")
    return things / (times[before + things - 1] - start)


CHECK = Check(
    name="slow_carrier",
    claim=(
        "Beside a carrier or a push service that hangs, the healthy ones keep at least 95 % "
        "of their rate."
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

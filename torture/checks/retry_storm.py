"""G12: retry storm: after an outage of the carrier, all queued replies are due at once."""

from bisect import bisect_left
from collections import Counter
from time import monotonic
from typing import Any

from services.delivery.worker import SLOTS
from tests.fakes.bandwidth import Answer, FakeBandwidth
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient
from torture.clock import WallClock
from torture.database import open_jobs, query
from torture.environment import TestEnvironment, require, wait_for_count, wait_until

OUTAGE = 3600  # seconds
FRESH_SECONDS = 2.0  # at the allowed rate
SLACK = 1.1
BURST_SECONDS = 1.0  # burst that the rate limit allows


class TimedBandwidth(FakeBandwidth):
    """Fake carrier that records the time of each accepted text."""

    def __init__(self) -> None:
        super().__init__(fates=())
        self.times: dict[str, float] = {}

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        if message is not None:
            self.times[message["text"]] = monotonic()
        return answer, message


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Queue replies for an hour, and send new ones while the queue is sent."""
    replies, rate = scale.pick((200, 20), (10_000, 100))
    bandwidth = TimedBandwidth()
    environment.bandwidth = environment.enter(bandwidth)
    clock = WallClock(environment.folder)
    server = environment.start_server(BANDWIDTH_RATE=str(rate), **clock.env)
    app = AppClient(server)
    bandwidth.next("messages", Answer(429, b"", {"Retry-After": str(OUTAGE)}))
    app.reply("first")
    wait_until(lambda: query(server.storage, "SELECT name FROM destinations"), "the pause")
    for number in range(replies):
        app.reply(f"c{number}", to=f"+1720{5550000 + number}")
    early = len(bandwidth.times)
    require(early == 0, f"{early} left while the carrier wanted a pause")
    clock.advance(OUTAGE + 1)
    waits = [_fresh(bandwidth, app, replies // part) for part in (5, 3, 2)]
    wait_for_count(lambda: len(bandwidth.times), replies + 4, "the storm")
    wait_until(lambda: not open_jobs(server.storage, "send"), "the end of the storm")
    times = sorted(bandwidth.times.values())
    took, most = times[-1] - times[0], _max_per_second(times)
    sent = Counter(message["text"] for message in bandwidth.accepted)
    require(len(sent) == sent.total() == replies + 4, "replies were lost or sent twice")
    may = rate * (1.0 + BURST_SECONDS) * SLACK + SLOTS  # so many arrive at once after a delay
    require(most <= may, f"{most} left within a second; {rate} and a burst may")
    allowed = rate * (took + BURST_SECONDS) * SLACK
    require(len(times) <= allowed, f"{len(times)} left within {took:.1f} s; {allowed:.0f} may")
    before = max(waits)
    require(before <= FRESH_SECONDS * rate, f"a fresh reply waited for {before} others")
    return {
        "replies due at once": replies + 1,
        "allowed a second": rate,
        "a second, on the whole": round((len(times) - rate) / took, 1),
        "most within one second, a burst included": most,
        "left before a fresh reply, at most": before,
    }


def _fresh(bandwidth: TimedBandwidth, app: AppClient, after: int) -> int:
    """Send a new reply after ``after`` others; returns how many are sent before it."""
    wait_until(lambda: len(bandwidth.times) > after, "the storm", 600)
    text = f"reply fresh {after}"
    app.reply(text.removeprefix("reply "), to="+17205540100")
    start = monotonic()
    wait_until(lambda: text in bandwidth.times, "a fresh reply", 600)
    left = bandwidth.times[text]
    return sum(start < at < left for at in list(bandwidth.times.values()))


def _max_per_second(times: list[float]) -> int:
    """The largest number of times within any one second."""
    return max(bisect_left(times, at + 1.0) - index for index, at in enumerate(times))


CHECK = Check(
    name="retry_storm",
    claim=(
        "When all queued replies of a carrier are due at once, they are sent at the allowed "
        "rate, and a new reply waits for at most 2 seconds of them."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/send.py",
            "rate_limits.count(tx, name, rate, now)",
            "pass",
            "sends are not counted for the rate limit",
        ),
        Mutant(
            "services/store/job_leasing.py",
            "free[-1] = newest",
            "pass",
            "a new reply waits behind all old ones",
        ),
    ),
)

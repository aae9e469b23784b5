"""G12: the carrier is back after an outage, and all that waited is due at once."""

from bisect import bisect_left
from collections import Counter
from time import monotonic
from typing import Any

from services.delivery.worker import SLOTS
from tests.fakes.bandwidth import Answer, FakeBandwidth
from torture.check import Check, Figures, Mutant, Scale
from torture.clock import WallClock
from torture.ground import Ground, demand, wait_for, wait_until
from torture.traffic import App, open_jobs, rows

OUTAGE = 3600  # seconds
FRESH_SECONDS = 2.0  # of the pace that is allowed
SLACK = 1.1
BURST_SECONDS = 1.0  # what may be saved up


class Counting(FakeBandwidth):
    """A carrier that notes when it takes which text."""

    def __init__(self) -> None:
        super().__init__(fates=())
        self.times: dict[str, float] = {}

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        if message is not None:
            self.times[message["text"]] = monotonic()
        return answer, message


def run(ground: Ground, scale: Scale) -> Figures:
    """Let replies wait for an hour, and answer a text while they leave."""
    replies, rate = scale.pick((200, 20), (10_000, 100))
    bandwidth = Counting()
    ground.bandwidth = ground.enter(bandwidth)
    clock = WallClock(ground.folder)
    server = ground.started(BANDWIDTH_RATE=str(rate), **clock.env)
    app = App(server)
    bandwidth.next("messages", Answer(429, b"", {"Retry-After": str(OUTAGE)}))
    app.reply("first")
    wait_until(lambda: rows(server.storage, "SELECT name FROM destinations"), "the pause")
    for number in range(replies):
        app.reply(f"c{number}", to=f"+1720{5550000 + number}")
    early = len(bandwidth.times)
    demand(early == 0, f"{early} left while the carrier wanted a pause")
    clock.skip(OUTAGE + 1)
    waits = [_fresh(bandwidth, app, replies // part) for part in (5, 3, 2)]
    wait_for(lambda: len(bandwidth.times), replies + 4, "the storm")
    wait_until(lambda: not open_jobs(server.storage, "send"), "the end of the storm")
    times = sorted(bandwidth.times.values())
    took, most = times[-1] - times[0], _most(times)
    sent = Counter(message["text"] for message in bandwidth.accepted)
    demand(len(sent) == sent.total() == replies + 4, "replies were lost or sent twice")
    may = rate * (1.0 + BURST_SECONDS) * SLACK + SLOTS  # so many arrive at once after a delay
    demand(most <= may, f"{most} left within a second; {rate} and a burst may")
    allowed = rate * (took + BURST_SECONDS) * SLACK
    demand(len(times) <= allowed, f"{len(times)} left within {took:.1f} s; {allowed:.0f} may")
    before = max(waits)
    demand(before <= FRESH_SECONDS * rate, f"a fresh reply waited for {before} others")
    return {
        "replies due at once": replies + 1,
        "allowed a second": rate,
        "a second, on the whole": round((len(times) - rate) / took, 1),
        "most within one second, a burst included": most,
        "left before a fresh reply, at most": before,
    }


def _fresh(bandwidth: Counting, app: App, after: int) -> int:
    """Answer a text once so many others have left; how many of them leave before it."""
    wait_until(lambda: len(bandwidth.times) > after, "the storm", 600)
    text = f"reply fresh {after}"
    app.reply(text.removeprefix("reply "), to="+17205540100")
    start = monotonic()
    wait_until(lambda: text in bandwidth.times, "a fresh reply", 600)
    left = bandwidth.times[text]
    return sum(start < at < left for at in list(bandwidth.times.values()))


def _most(times: list[float]) -> int:
    """The largest number of moments within any one second."""
    return max(bisect_left(times, at + 1.0) - place for place, at in enumerate(times))


CHECK = Check(
    name="retry_storm",
    claim=(
        "When all that waited for a carrier is due at once, it leaves at the pace that is allowed, "
        "and a reply that is written meanwhile leaves before all but 2 seconds of it."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/send.py",
            "rate_limits.count(tx, name, rate, now)",
            "pass",
            "nobody counts what has left",
        ),
        Mutant(
            "services/store/jobs.py",
            "free[-1] = newest.id",
            "pass",
            "what is new waits behind all that is old",
        ),
    ),
)

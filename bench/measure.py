"""The measurements, one function each; rates are compared with the no-op application.

The no-op application is measured in the same minute, in turns with Textbridge.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load_generator, processes
from bench.figures import Figure
from bench.load_generator import LoadResult, median, percentile
from bench.measured_server import STORED, MeasuredServer, make_server, measured_server, webhook_body
from bench.processes import Process
from bench.seed_data import seed_messages
from services.store.database.store import Store

CONCURRENCY = (16, 64)
MAX_SLOWDOWN = 1.2  # of a hot path with a million messages


@dataclass(frozen=True)
class RunLength:
    """Each measurement is repeated ``turns`` times, for ``seconds`` each."""

    seconds: float
    turns: int


@contextmanager
def servers(database_url: str | None) -> Iterator[tuple[Process, MeasuredServer]]:
    """Start the no-op application and a new Textbridge."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="textbridge-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        limit = stack.enter_context(processes.noop())
        yield limit, stack.enter_context(measured_server(folder, database_url))


def limit_of(noop: Process, connections: int, seconds: float) -> LoadResult:
    """Measure the no-op application with the same webhooks."""
    path = "/webhook/noop/sms"

    def make(index: int) -> bytes:
        return load_generator.post_request(path, webhook_body(index, STORED))

    return load_generator.generate_load(noop.port, make, connections=connections, seconds=seconds)


def acknowledged(
    noop: Process, measured: MeasuredServer, run_length: RunLength, aim: float | None
) -> list[Figure]:
    """Webhooks a second that are stored durably when they are answered."""
    figures = []
    for connections in CONCURRENCY:
        limits, ours, cpu = [], [], []
        for _ in range(run_length.turns):
            limits.append(limit_of(noop, connections, run_length.seconds))
            used = measured.cpu_seconds()
            ours.append(
                measured.run(
                    measured.webhooks(STORED), connections=connections, seconds=run_length.seconds
                )
            )
            cpu.append((measured.cpu_seconds() - used) / ours[-1].answered)
        assert not any(result.refused for result in ours), "webhooks were refused"
        limit = median([result.rate for result in limits])
        rate = median([result.rate for result in ours])
        ratio = median([our.rate / lim.rate for our, lim in zip(ours, limits, strict=True)])
        at = f"at {connections} connections"
        figures += [
            Figure(f"no-op {at}", limit, "/s"),
            Figure(f"acknowledged {at}", rate, "/s", ratio, aim),
            _less(f"acknowledged {at}, p50", median([r.wait(0.5) for r in ours]), "ms"),
            _less(f"acknowledged {at}, p99", median([r.wait(0.99) for r in ours]), "ms"),
            _less(f"acknowledged {at}, CPU", median(cpu) * 1000, "ms each"),
        ]
    return figures


def _less(name: str, value: float, unit: str, aim: float | None = None) -> Figure:
    """A figure for which less is better."""
    return Figure(name, value, unit, None, aim, more=False)


def pushed(
    noop: Process, measured: MeasuredServer, run_length: RunLength, aim: float | None
) -> list[Figure]:
    """Webhooks a second that are stored and pushed, measured until the queue is empty."""
    rate, ratio, cpu = _throughput(noop, measured, measured.webhooks(), run_length)
    return [
        Figure("webhook to pushed", rate, "/s", ratio, aim),
        _less("webhook to pushed, CPU", cpu, "ms each"),
        *_end_to_end(measured, "idle", 10.0, 60, 25.0),
        *_end_to_end(measured, "at half load", rate / 2, int(rate / 2 * run_length.seconds), None),
    ]


def _throughput(
    noop: Process,
    measured: MeasuredServer,
    make: load_generator.RequestFactory,
    run_length: RunLength,
) -> tuple[float, float, float]:
    """Send requests and measure until the receiver has all of them.

    Returns the rate a second, its ratio to the no-op's rate, and the CPU time of each in ms.
    """
    rates, ratios, cpu = [], [], []
    for _ in range(run_length.turns):
        limit = limit_of(noop, 16, run_length.seconds).rate
        measured.reset_receiver()
        used = measured.cpu_seconds()
        sent = measured.run(make, connections=16, seconds=run_length.seconds)
        assert not sent.refused, "requests were refused"
        seen = measured.wait_for(sent.answered)
        cpu.append((measured.cpu_seconds() - used) / sent.answered * 1000)
        rates.append(sent.answered / (max(seen.values()) - sent.first))
        ratios.append(rates[-1] / limit)
    return median(rates), median(ratios), median(cpu)


def _end_to_end(
    measured: MeasuredServer, when: str, rate: float, max_requests: int, aim: float | None
) -> list[Figure]:
    """Latency from the webhook's first byte to the push at the receiver."""
    measured.reset_receiver()
    sent = measured.run(measured.webhooks(), connections=16, max_requests=max_requests, rate=rate)
    seen = measured.wait_for(sent.answered)
    waits = [seen[number] - began for number, began in sent.began.items()]
    return [
        _less(f"end to end, {when}, p50", percentile(waits, 0.5) * 1000, "ms", aim),
        _less(f"end to end, {when}, p99", percentile(waits, 0.99) * 1000, "ms"),
    ]


def replied(noop: Process, measured: MeasuredServer, run_length: RunLength) -> list[Figure]:
    """Replies a second that reach the carrier."""
    rate, ratio, cpu = _throughput(noop, measured, measured.replies(), run_length)
    return [
        Figure("reply to carrier", rate, "/s", ratio),
        _less("reply to carrier, CPU", cpu, "ms each"),
    ]


def size(measured: MeasuredServer, after: int) -> list[Figure]:
    """Memory and idle CPU after at least ``after`` messages."""
    sent = next(measured.numbers)
    if sent < after:
        measured.run(measured.webhooks(STORED), connections=64, max_requests=after - sent)
    time.sleep(3)
    used, since = measured.cpu_seconds(), time.monotonic()
    time.sleep(20)
    idle = (measured.cpu_seconds() - used) / (time.monotonic() - since)
    memory = measured.memory_mb()
    grown = (memory - measured.memory_at_start) / max(sent, after)
    return [
        _less("memory of all processes", memory, "MB", 200.0),
        _less("memory grown with each message", grown * 1000, "kB each"),
        _less("CPU when idle", idle * 100, "%", 0.5),
    ]


def start_up() -> list[Figure]:
    """Start-up time from the command to the first answer, and the installed size on disk."""
    taken = []
    for _ in range(3):
        folder = Path(tempfile.mkdtemp(prefix="textbridge-bench-"))
        server = make_server(folder, 9)
        taken.append(processes.start_up_seconds(server))
        server.stop()
        shutil.rmtree(folder)
    return [
        _less("start-up", statistics.median(taken), "s"),
        _less("installation", processes.installation_mb(), "MB"),
    ]


def grown(
    noop: Process,
    measured: MeasuredServer,
    sizes: list[int],
    run_length: RunLength,
    database_url: str | None,
) -> list[Figure]:
    """The cost of the same calls with few and with many stored messages."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for total in sizes:
        store = Store(database_url, measured.server.storage)
        seed_messages(store, total)
        store.close()
        for name, cost in _costs(noop, measured, run_length).items():
            before = first.setdefault(name, cost)
            last = total == sizes[-1] and len(sizes) > 1
            aim = MAX_SLOWDOWN if last and name in HOT else None
            figures.append(
                Figure(f"{name}, {total:,} messages", cost, COST, cost / before, aim, more=False)
            )
    return figures


COST = "× no-op's"
HOT = ("conversation list", "history page", "cost of acknowledging", "cost of pushing")


def _costs(noop: Process, measured: MeasuredServer, run_length: RunLength) -> dict[str, float]:
    """The cost of calls, in units of a request to the no-op at the same time."""
    conversation = measured.longest_conversation()
    calls = {
        "conversation list": "/api/v1/conversations?limit=50",
        "list of the unread": "/api/v1/conversations?limit=50&unread=1",
        "history page": f"/api/v1/conversations/{conversation}/messages?limit=50",
        "older history page": f"/api/v1/conversations/{conversation}/messages?limit=50&before=900",
        "search, rare word": "/api/v1/search?q=ref0000007&limit=50",
        "search, common words": "/api/v1/search?q=morning%20order&limit=50",
    }
    costs = {
        name: _cost(noop, measured, measured.read(path), run_length) for name, path in calls.items()
    }
    costs["cost of acknowledging"] = _cost(noop, measured, measured.webhooks(STORED), run_length)
    _, ratio, _ = _throughput(noop, measured, measured.webhooks(), run_length)
    costs["cost of pushing"] = 1 / ratio
    return costs


def _cost(
    noop: Process,
    measured: MeasuredServer,
    make: load_generator.RequestFactory,
    run_length: RunLength,
) -> float:
    turns = []
    for _ in range(run_length.turns):
        limit = limit_of(noop, 16, run_length.seconds).rate
        result = measured.run(make, connections=16, seconds=run_length.seconds)
        assert result.answered, "nothing was answered"
        assert not result.refused, "calls were refused"
        turns.append(limit / result.rate)
    return median(turns)

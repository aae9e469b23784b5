"""What is measured, one function each; a figure stands beside the limit of the same minute."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes, traffic
from bench.figures import Figure
from bench.fill import fill
from bench.processes import Process
from bench.street import STORED, Street, make_server, street, webhook
from bench.traffic import Result, median, percentile
from services.store.database.store import Store

CONCURRENCY = (16, 64)
QUICK_TO_MANY = 1.2  # how much slower a hot path may be with a million messages


@dataclass(frozen=True)
class Span:
    """How long and how often: ``seconds`` for each of ``turns`` of each measurement."""

    seconds: float
    turns: int


@contextmanager
def ground(database_url: str | None) -> Iterator[tuple[Process, Street]]:
    """The no-op and a new Textbridge, side by side."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="textbridge-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        limit = stack.enter_context(processes.noop())
        yield limit, stack.enter_context(street(folder, database_url))


def limit_of(noop: Process, connections: int, seconds: float) -> Result:
    """The same webhooks at the application that does nothing."""
    path = "/webhook/noop/sms"

    def make(index: int) -> bytes:
        return traffic.post(path, webhook(index, STORED))

    return traffic.run(noop.port, make, connections=connections, seconds=seconds)


def acknowledged(noop: Process, town: Street, span: Span, aim: float | None) -> list[Figure]:
    """Webhooks a second that are on disk when they are answered, in turns with the no-op."""
    figures = []
    for connections in CONCURRENCY:
        limits, ours, cpu = [], [], []
        for _ in range(span.turns):
            limits.append(limit_of(noop, connections, span.seconds))
            used = town.cpu_seconds()
            ours.append(
                town.run(town.webhooks(STORED), connections=connections, seconds=span.seconds)
            )
            cpu.append((town.cpu_seconds() - used) / ours[-1].answered)
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
    """A figure of which less is better."""
    return Figure(name, value, unit, None, aim, more=False)


def pushed(noop: Process, town: Street, span: Span, aim: float | None) -> list[Figure]:
    """Webhooks a second that are stored and pushed, until nothing is queued any more."""
    rate, ratio, cpu = _through(noop, town, town.webhooks(), span)
    return [
        Figure("webhook to pushed", rate, "/s", ratio, aim),
        _less("webhook to pushed, CPU", cpu, "ms each"),
        *_end_to_end(town, "idle", 10.0, 60, 25.0),
        *_end_to_end(town, "at half load", rate / 2, int(rate / 2 * span.seconds), None),
    ]


def _through(
    noop: Process, town: Street, make: traffic.Make, span: Span
) -> tuple[float, float, float]:
    """What goes in until all of it has come out at the receiver, in turns with the no-op.

    Returns how many a second, that as a part of the no-op's rate, and the CPU for each in ms.
    """
    rates, ratios, cpu = [], [], []
    for _ in range(span.turns):
        limit = limit_of(noop, 16, span.seconds).rate
        town.forget()
        used = town.cpu_seconds()
        sent = town.run(make, connections=16, seconds=span.seconds)
        assert not sent.refused, "requests were refused"
        seen = town.wait_for(sent.answered)
        cpu.append((town.cpu_seconds() - used) / sent.answered * 1000)
        rates.append(sent.answered / (max(seen.values()) - sent.first))
        ratios.append(rates[-1] / limit)
    return median(rates), median(ratios), median(cpu)


def _end_to_end(town: Street, when: str, rate: float, most: int, aim: float | None) -> list[Figure]:
    """From the webhook's first byte to the push at its receiver."""
    town.forget()
    sent = town.run(town.webhooks(), connections=16, most=most, rate=rate)
    seen = town.wait_for(sent.answered)
    waits = [seen[number] - began for number, began in sent.began.items()]
    return [
        _less(f"end to end, {when}, p50", percentile(waits, 0.5) * 1000, "ms", aim),
        _less(f"end to end, {when}, p99", percentile(waits, 0.99) * 1000, "ms"),
    ]


def replied(noop: Process, town: Street, span: Span) -> list[Figure]:
    """Messages of apps a second that have reached the carrier."""
    rate, ratio, cpu = _through(noop, town, town.replies(), span)
    return [
        Figure("reply to carrier", rate, "/s", ratio),
        _less("reply to carrier, CPU", cpu, "ms each"),
    ]


def size(town: Street, after: int) -> list[Figure]:
    """What it holds and uses after so many messages of traffic, or all there was."""
    sent = next(town.numbers)
    if sent < after:
        town.run(town.webhooks(STORED), connections=64, most=after - sent)
    time.sleep(3)
    used, since = town.cpu_seconds(), time.monotonic()
    time.sleep(20)
    idle = (town.cpu_seconds() - used) / (time.monotonic() - since)
    memory = town.memory_mb()
    grown = (memory - town.memory_at_start) / max(sent, after)
    return [
        _less("memory of all processes", memory, "MB", 200.0),
        _less("memory grown with each message", grown * 1000, "kB each"),
        _less("CPU when idle", idle * 100, "%", 0.5),
    ]


def start_up() -> list[Figure]:
    """From the command to the first answer, and what the installation takes on disk."""
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
    noop: Process, town: Street, sizes: list[int], span: Span, database_url: str | None
) -> list[Figure]:
    """The same calls with few and with many stored messages."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for total in sizes:
        store = Store(database_url, town.server.storage)
        fill(store, total)
        store.close()
        for name, cost in _costs(noop, town, span).items():
            before = first.setdefault(name, cost)
            last = total == sizes[-1] and len(sizes) > 1
            aim = QUICK_TO_MANY if last and name in HOT else None
            figures.append(
                Figure(f"{name}, {total:,} messages", cost, COST, cost / before, aim, more=False)
            )
    return figures


COST = "× no-op's"
HOT = ("conversation list", "history page", "cost of acknowledging", "cost of pushing")


def _costs(noop: Process, town: Street, span: Span) -> dict[str, float]:
    """What calls cost, in units of a request to the no-op at the same moment."""
    conversation = town.longest_conversation()
    calls = {
        "conversation list": "/api/v1/conversations?limit=50",
        "list of the unread": "/api/v1/conversations?limit=50&unread=1",
        "history page": f"/api/v1/conversations/{conversation}/messages?limit=50",
        "older history page": f"/api/v1/conversations/{conversation}/messages?limit=50&before=900",
        "search, rare word": "/api/v1/search?q=ref0000007&limit=50",
        "search, common words": "/api/v1/search?q=morning%20order&limit=50",
    }
    costs = {name: _cost(noop, town, town.read(path), span) for name, path in calls.items()}
    costs["cost of acknowledging"] = _cost(noop, town, town.webhooks(STORED), span)
    _, ratio, _ = _through(noop, town, town.webhooks(), span)
    costs["cost of pushing"] = 1 / ratio
    return costs


def _cost(noop: Process, town: Street, make: traffic.Make, span: Span) -> float:
    turns = []
    for _ in range(span.turns):
        limit = limit_of(noop, 16, span.seconds).rate
        result = town.run(make, connections=16, seconds=span.seconds)
        assert result.answered, "nothing was answered"
        assert not result.refused, "calls were refused"
        turns.append(limit / result.rate)
    return median(turns)

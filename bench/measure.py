"""The measurements, one function each; rates are compared with the no-op application.

The no-op application is measured in the same minute, in turns with Textbridge.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import load_generator, processes, version_01
from bench.figures import Figure
from bench.load_generator import LoadResult, median, percentile
from bench.measured_server import (
    CONVERSATIONS,
    MANY,
    MeasuredServer,
    make_server,
    measured_server,
    webhooks,
)
from bench.processes import Process
from bench.request_template import RequestTemplate

IDLE_RATE, IDLE_TEXTS = 10.0, 60  # end to end: texts a second, and how many


@dataclass(frozen=True)
class RunLength:
    """Each measurement is repeated ``turns`` times, for ``seconds`` each."""

    seconds: float
    turns: int


@dataclass(frozen=True)
class Aims:
    """The aims of ``mixed``, by the number of connections; ``cpu`` in units of the no-op's."""

    acknowledged: Mapping[int, float] = field(default_factory=dict)
    delivered: Mapping[int, float] = field(default_factory=dict)
    cpu: Mapping[int, float] = field(default_factory=dict)


@contextmanager
def servers(database_url: str | None) -> Iterator[tuple[Process, MeasuredServer]]:
    """Start the no-op application and a new Textbridge."""
    with ExitStack() as stack:
        limit = stack.enter_context(processes.noop())
        measured = stack.enter_context(measured_server(_folder(stack), database_url))
        _warm_up(measured)
        yield limit, measured


def _warm_up(measured: MeasuredServer) -> None:
    """Begin every conversation that ``mixed`` has: later, few texts begin one."""
    measured.reset_receiver()
    sent = measured.run(webhooks(MANY), connections=16, max_requests=CONVERSATIONS)
    measured.wait_for(sent.answered)


def _folder(stack: ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="textbridge-bench-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def limit_of(noop: Process, connections: int, seconds: float) -> LoadResult:
    """Measure the no-op application with the same webhooks."""
    template = webhooks(MANY, "noop")
    return load_generator.generate_load(
        noop.port, template, connections=connections, seconds=seconds
    )


@dataclass
class _Mixed:
    """The turns of a load that goes in and out at once."""

    limits: list[float] = field(default_factory=list)
    acknowledged: list[LoadResult] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)  # a second, until nothing is queued
    queued: list[float] = field(default_factory=list)  # seconds to deliver the rest
    cpu: list[float] = field(default_factory=list)  # milliseconds each
    cpu_ratio: list[float] = field(default_factory=list)

    def ratio(self, rates: list[float]) -> float:
        """The median of the ratios to the no-op's rate in the same turn."""
        return median([rate / limit for rate, limit in zip(rates, self.limits, strict=True)])


def _load(
    noop: Process,
    measured: MeasuredServer,
    template: RequestTemplate,
    connections: int,
    run_length: RunLength,
) -> _Mixed:
    """Send requests, and wait until the receiver has the texts of all."""
    found = _Mixed()
    for _ in range(run_length.turns):
        used = processes.cpu_seconds(noop.pid)
        limit = limit_of(noop, connections, run_length.seconds)
        limit_cpu = (processes.cpu_seconds(noop.pid) - used) / limit.answered
        measured.reset_receiver()
        used = measured.cpu_seconds()
        sent = measured.run(template, connections=connections, seconds=run_length.seconds)
        assert not sent.refused, "requests were refused"
        last = max(measured.wait_for(sent.answered).values())
        cpu = (measured.cpu_seconds() - used) / sent.answered
        found.limits.append(limit.rate)
        found.acknowledged.append(sent)
        found.delivered.append(sent.answered / (last - sent.first))
        found.queued.append(max(0.0, last - sent.first - sent.seconds))
        found.cpu.append(cpu * 1000)
        found.cpu_ratio.append(cpu / limit_cpu)
    return found


def mixed(
    noop: Process,
    measured: MeasuredServer,
    run_length: RunLength,
    connections: int,
    aims: Aims,
) -> list[Figure]:
    """Webhooks come in while their texts are pushed, at a hundred numbers."""
    found = _load(noop, measured, webhooks(MANY), connections, run_length)
    rates = [sent.rate for sent in found.acknowledged]
    at = f"at {connections}"
    aim = aims.acknowledged.get(connections)
    delivered = aims.delivered.get(connections)
    return [
        Figure(f"no-op {at}", median(found.limits), "/s"),
        Figure(f"acknowledged {at}", median(rates), "/s", found.ratio(rates), aim),
        _less(f"acknowledged {at}, p50", median([s.wait(0.5) for s in found.acknowledged]), "ms"),
        _less(f"acknowledged {at}, p99", median([s.wait(0.99) for s in found.acknowledged]), "ms"),
        Figure(
            f"delivered {at}",
            median(found.delivered),
            "/s",
            found.ratio(found.delivered),
            delivered,
        ),
        _less(f"delivered {at}, time for what was queued", median(found.queued), "s"),
        Figure(
            f"CPU of a message {at}",
            median(found.cpu),
            "ms",
            median(found.cpu_ratio),
            aims.cpu.get(connections),
            more=False,
        ),
    ]


def replied(
    noop: Process, measured: MeasuredServer, run_length: RunLength, aim: float | None
) -> list[Figure]:
    """Replies of an app that reach the carrier."""
    found = _load(noop, measured, measured.replies(), 16, run_length)
    return [
        Figure(
            "reply to carrier", median(found.delivered), "/s", found.ratio(found.delivered), aim
        ),
        Figure(
            "CPU of a reply", median(found.cpu), "ms", median(found.cpu_ratio), None, more=False
        ),
    ]


def cost_of_delivery(noop: Process, measured: MeasuredServer, run_length: RunLength) -> float:
    """The time of a text that is received and pushed, in units of the no-op's."""
    found = _load(noop, measured, webhooks(MANY), 16, run_length)
    return 1 / found.ratio(found.delivered)


def _less(name: str, value: float, unit: str, aim: float | None = None) -> Figure:
    """A figure for which less is better."""
    return Figure(name, value, unit, None, aim, more=False)


def end_to_end(measured: MeasuredServer) -> list[Figure]:
    """Latency from a webhook's first byte to the push at the receiver, of an idle server."""
    waits = _waits(measured)
    return [
        _less("end to end, idle, p50", percentile(waits, 0.5) * 1000, "ms", 25.0),
        _less("end to end, idle, p99", percentile(waits, 0.99) * 1000, "ms"),
    ]


def _waits(measured: MeasuredServer) -> list[float]:
    measured.reset_receiver()
    sent = measured.run(webhooks(), connections=16, max_requests=IDLE_TEXTS, rate=IDLE_RATE)
    seen = measured.wait_for(sent.answered)
    return [seen[number] - began for number, began in sent.began.items()]


def beside_version_01(turns: int, aim: float) -> tuple[list[Figure], list[str]]:
    """End to end, idle, in turns with version 0.1; also the names of what is left out and why."""
    name = "end to end, idle, p50, × version 0.1"
    with version_01.checked_out() as program, ExitStack() as stack:
        if program is None:
            return [], [f"{name}: the commit of version 0.1 is not in this repository's history."]
        new = stack.enter_context(measured_server(_folder(stack)))
        old = stack.enter_context(measured_server(_folder(stack), root=program))
        found: dict[str, list[float]] = {"new": [], "old": []}
        for _ in range(turns + 1):  # the first texts warm the processes up
            for which, measured in (("new", new), ("old", old)):
                found[which].append(percentile(_waits(measured), 0.5) * 1000)
    ratios = [new / old for new, old in zip(found["new"][1:], found["old"][1:], strict=True)]
    return [
        _less("end to end, idle, p50, version 0.1", median(found["old"][1:]), "ms"),
        _less(name, median(ratios), "×", aim),
    ], []


def size(measured: MeasuredServer, after: int) -> list[Figure]:
    """Memory and idle CPU after at least ``after`` messages."""
    sent = measured.next_number
    if sent < after:
        measured.reset_receiver()
        measured.run(webhooks(MANY), connections=64, max_requests=after - sent)
        measured.wait_for(after - sent)
    time.sleep(3)
    used, since = measured.cpu_seconds(), time.monotonic()
    time.sleep(20)
    idle = (measured.cpu_seconds() - used) / (time.monotonic() - since)
    memory = measured.memory_mb()
    grown = (memory - measured.memory_at_start) / max(sent, after)
    return [
        _less("memory of all processes", memory, "MB", 170.0),
        _less("memory grown with each message", grown * 1000, "kB each"),
        _less("CPU when idle", idle * 100, "%", 0.3),
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

"""Command line of the benchmarks (``make bench``): measure, print a table, write JSON and history.

``python -m bench --quick`` takes two minutes and measures small installations only; ``--only`` runs
one part. Nothing else should run on the machine at the same time.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench import figures, growth, measure, native, nodes, settings_edits
from bench.figures import Figure
from bench.measure import Aims, RunLength
from tests.postgres import new_database, programs, running_postgres

SQLITE = Aims(
    acknowledged={16: 0.30, 64: 0.45}, delivered={16: 0.30, 64: 0.45}, cpu={16: 3.2, 64: 3.2}
)
POSTGRESQL = Aims(acknowledged={64: 0.25}, delivered={64: 0.15})


@dataclass(frozen=True)
class Scale:
    """How long and how large the measurements are.

    ``messages`` are stored before the memory is measured, ``sizes`` are those of an installation
    that grows, with so many ``due`` jobs and ``numbers``; the ``backlog`` is pushed by several
    nodes.
    """

    run_length: RunLength
    messages: int
    sizes: list[int]
    due: int
    numbers: int
    backlog: int


FULL = Scale(RunLength(4.0, 3), 100_000, [1_000, 100_000, 1_000_000], 100_000, 20_000, 3_000)
QUICK = Scale(RunLength(1.5, 2), 0, [1_000, 20_000], 10_000, 2_000, 600)
REPLY, END_TO_END = 0.12, 0.6  # × no-op, × version 0.1
PARTS = ("sqlite", "version", "settings", "postgresql", "nodes", "growth", "start")


def main() -> None:
    """Run the benchmarks that the command line selects."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="short measurements, small installations"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--no-history", action="store_true", help="print only, write nothing")
    options = parser.parse_args()
    parts = options.only or PARTS
    scale = QUICK if options.quick else FULL
    left_out: list[str] = []
    before = figures.last_figures()
    if native.program() is None:
        left_out.append("No C compiler: the load generator and the receiver in Python cost more.")
    found: list[Figure] = []
    try:
        for part in _without_postgresql(parts, scale, left_out):
            found += part
        if programs() is None:
            left_out.append("PostgreSQL is not installed here (make test-tools): its figures.")
        else:
            for part in _with_postgresql(parts, scale):
                found += part
    finally:  # also what was measured before a part that failed
        native.remove()
        print(figures.table(found, before))
        for reason in left_out:
            print(f"Left out: {reason}")
    if not options.no_history:
        how = {"cores": os.cpu_count(), "quick": options.quick, "parts": list(parts)}
        figures.save(found, how | {"left_out": left_out})


def _without_postgresql(
    parts: Sequence[str], scale: Scale, left_out: list[str]
) -> Iterator[list[Figure]]:
    if "start" in parts:
        yield measure.start_up()
    if "sqlite" in parts:
        yield _all_figures("SQLite", None, scale, SQLITE)
    if "version" in parts:
        compared, unknown = measure.beside_version_01(scale.run_length.turns, END_TO_END)
        left_out += unknown
        yield _titled("SQLite", compared)
    if "settings" in parts:
        yield _titled("Message Settings", settings_edits.figures())
    if "growth" in parts:
        yield _growth("SQLite", None, scale)


def _with_postgresql(parts: Sequence[str], scale: Scale) -> Iterator[list[Figure]]:
    with running_postgres(durable=True) as address:
        if "postgresql" in parts:
            yield _all_figures("PostgreSQL", new_database(address), scale, POSTGRESQL)
        if "nodes" in parts:
            yield _titled("nodes", nodes.scaled(address, scale.backlog))
        if "growth" in parts:
            yield _growth("PostgreSQL", new_database(address), scale)


def _all_figures(title: str, database_url: str | None, scale: Scale, aims: Aims) -> list[Figure]:
    embedded, run_length = database_url is None, scale.run_length
    with measure.servers(database_url) as (noop, measured):
        found = measure.end_to_end(measured)
        for connections in (16, 64):
            found += measure.mixed(noop, measured, run_length, connections, aims)
        found += measure.replied(noop, measured, run_length, REPLY if embedded else None)
        found += measure.size(measured, scale.messages)
    return _titled(title, found)


def _growth(title: str, database_url: str | None, scale: Scale) -> list[Figure]:
    run_length = RunLength(1.5, 2)
    with measure.servers(database_url) as (noop, measured):
        found = growth.grown_messages(noop, measured, scale.sizes, run_length, database_url)
        found += growth.grown_queue(noop, measured, scale.due, run_length, database_url)
        found += growth.grown_settings(noop, measured, scale.numbers, run_length, database_url)
    return _titled(title, found)


def _titled(title: str, found: list[Figure]) -> list[Figure]:
    return [replace(figure, name=f"{title}: {figure.name}") for figure in found]


if __name__ == "__main__":
    main()

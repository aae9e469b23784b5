"""Command line of the benchmarks (``make bench``): measure, print a table, write JSON and history.

``python -m bench --quick`` takes two minutes and measures small installations only; ``--only`` runs
one part. Nothing else should run on the machine at the same time.
"""

import argparse
import os
from dataclasses import replace

from bench import figures, measure, nodes
from bench.figures import Figure
from bench.measure import RunLength
from tests.postgres import new_database, programs, running_postgres

PARTS = ("sqlite", "postgresql", "nodes", "growth", "start")


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
    run_length = RunLength(1.5, 2) if options.quick else RunLength(4.0, 3)
    messages = 0 if options.quick else 100_000  # before the memory is measured
    sizes = [1_000, 20_000] if options.quick else [1_000, 100_000, 1_000_000]
    found: list[Figure] = []
    before = figures.last_figures()
    if "start" in parts:
        found += measure.start_up()
    if "sqlite" in parts:
        found += _all_figures("SQLite", None, run_length, messages, aims=True)
    if "growth" in parts:
        found += _growth("SQLite", None, sizes)
    if programs() is None:
        print("PostgreSQL is not installed here: make test-tools. It is left out.")
    else:
        with running_postgres(durable=True) as address:
            if "postgresql" in parts:
                found += _all_figures(
                    "PostgreSQL", new_database(address), run_length, messages, aims=False
                )
            if "nodes" in parts:
                backlog = 600 if options.quick else 3_000
                found += _titled("nodes", nodes.scaled(address, backlog))
            if "growth" in parts:
                found += _growth("PostgreSQL", new_database(address), sizes)
    print(figures.table(found, before))
    if not options.no_history:
        how = {"cores": os.cpu_count(), "quick": options.quick, "parts": list(parts)}
        figures.save(found, how)


def _all_figures(
    title: str, database_url: str | None, run_length: RunLength, messages: int, *, aims: bool
) -> list[Figure]:
    with measure.servers(database_url) as (noop, measured):
        found = measure.acknowledged(noop, measured, run_length, 0.4 if aims else None)
        found += measure.pushed(noop, measured, run_length, 0.3 if aims else None)
        found += measure.replied(noop, measured, run_length)
        found += measure.size(measured, messages)
    return _titled(title, found)


def _growth(title: str, database_url: str | None, sizes: list[int]) -> list[Figure]:
    run_length = RunLength(1.5, 2)
    with measure.servers(database_url) as (noop, measured):
        return _titled(title, measure.grown(noop, measured, sizes, run_length, database_url))


def _titled(title: str, found: list[Figure]) -> list[Figure]:
    return [replace(figure, name=f"{title}: {figure.name}") for figure in found]


if __name__ == "__main__":
    main()

"""``make bench``: measure everything, print one table, write JSON and a line of history.

``python -m bench --quick`` takes two minutes and measures small installations only; ``--only`` runs
one part. Nothing else should run on the machine meanwhile.
"""

import argparse
import os
from dataclasses import replace

from bench import figures, measure, nodes
from bench.figures import Figure
from bench.measure import Span
from tests.postgres import new_database, programs, running_postgres

PARTS = ("sqlite", "postgresql", "nodes", "growth", "start")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short turns, small installations")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--no-history", action="store_true", help="print only, write nothing")
    asked = parser.parse_args()
    parts = asked.only or PARTS
    span = Span(1.5, 2) if asked.quick else Span(4.0, 3)
    traffic = 0 if asked.quick else 100_000  # messages before its memory is measured
    sizes = [1_000, 20_000] if asked.quick else [1_000, 100_000, 1_000_000]
    found: list[Figure] = []
    before = figures.last_figures()
    if "start" in parts:
        found += measure.start_up()
    if "sqlite" in parts:
        found += _everything("SQLite", None, span, traffic, aims=True)
    if "growth" in parts:
        found += _growth("SQLite", None, sizes)
    if programs() is None:
        print("PostgreSQL is not installed here: make test-tools. It is left out.")
    else:
        with running_postgres(durable=True) as address:
            if "postgresql" in parts:
                found += _everything("PostgreSQL", new_database(address), span, traffic, aims=False)
            if "nodes" in parts:
                backlog = 600 if asked.quick else 3_000
                found += _titled("nodes", nodes.scaled(address, backlog))
            if "growth" in parts:
                found += _growth("PostgreSQL", new_database(address), sizes)
    print(figures.table(found, before))
    if not asked.no_history:
        how = {"cores": os.cpu_count(), "quick": asked.quick, "parts": list(parts)}
        figures.keep(found, how)


def _everything(
    title: str, database_url: str | None, span: Span, traffic: int, *, aims: bool
) -> list[Figure]:
    with measure.ground(database_url) as (noop, town):
        found = measure.acknowledged(noop, town, span, 0.4 if aims else None)
        found += measure.pushed(noop, town, span, 0.3 if aims else None)
        found += measure.replied(noop, town, span)
        found += measure.size(town, traffic)
    return _titled(title, found)


def _growth(title: str, database_url: str | None, sizes: list[int]) -> list[Figure]:
    span = Span(1.5, 2)
    with measure.ground(database_url) as (noop, town):
        return _titled(title, measure.grown(noop, town, sizes, span, database_url))


def _titled(title: str, found: list[Figure]) -> list[Figure]:
    return [replace(figure, name=f"{title}: {figure.name}") for figure in found]


if __name__ == "__main__":
    main()

"""Command line of the fault injection tests (``make torture``): run checks, print a table, JSON.

Exit codes: 0 when every promise holds, 3 when one does not hold (with ``--mutants``: when a check
did not detect a mutant), 1 when a check itself failed.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torture.check import Check, Scale
from torture.checks import CHECKS
from torture.environment import PromiseBroken, TestEnvironment
from torture.mutants import BROKEN, try_mutant

Row = dict[str, Any]
MARKS = {"held": "ok", "caught": "ok", "skipped": "--"}


def main() -> int:
    """Run what the command line selects; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--scale", choices=list(Scale), type=Scale, default=Scale.FULL)
    parser.add_argument("--only", action="append", choices=[c.name for c in CHECKS], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="list the checks and their claims")
    parser.add_argument("--mutants", action="store_true", help="prove that each check can fail")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends all servers that were started
    wanted = [check for check in CHECKS if _is_wanted(check, options)]
    if options.list:
        print("\n".join(f"{check.name:<18} {check.claim}" for check in wanted))
        return 0
    rows = _run_mutants(wanted) if options.mutants else _run_all(wanted, options.scale)
    print(_table(rows))
    if options.json:
        about = {"scale": options.scale, "cores": os.cpu_count(), "at": time.strftime("%F")}
        kind = "mutants" if options.mutants else "checks"
        options.json.write_text(json.dumps({**about, kind: rows}, indent=1, ensure_ascii=False))
    outcomes = {row["outcome"] for row in rows}
    return 1 if "failed" in outcomes else BROKEN if outcomes & {"broken", "missed"} else 0


def _is_wanted(check: Check, options: argparse.Namespace) -> bool:
    if options.only:
        return check.name in options.only
    return check.smoke or options.scale is Scale.FULL or options.mutants or options.list


def _run_all(checks: Sequence[Check], scale: Scale) -> list[Row]:
    return [_printed(_run(check, scale)) for check in checks]


def _run(check: Check, scale: Scale) -> Row:
    row: Row = {"name": check.name, "claim": check.claim, "figures": {}, "seen": ""}
    if missing := check.missing():
        return {**row, "outcome": "skipped", "seen": _skip_reason(missing), "seconds": 0.0}
    start = time.monotonic()
    try:
        with _folder() as folder, TestEnvironment(Path(folder)) as environment:
            row |= {"outcome": "held", "figures": check.run(environment, scale)}
    except PromiseBroken as error:
        row |= {"outcome": "broken", "seen": str(error)}
    except Exception:
        row |= {"outcome": "failed", "seen": traceback.format_exc()}
    return {**row, "seconds": round(time.monotonic() - start, 1)}


def _run_mutants(checks: Sequence[Check]) -> list[Row]:
    rows = []
    for check in checks:
        for mutant in check.mutants:
            row: Row = {"name": check.name, "claim": mutant.breaks, "figures": {}}
            row["file"] = mutant.file
            start = time.monotonic()
            if missing := check.missing():
                row |= {"outcome": "skipped", "seen": _skip_reason(missing)}
            else:
                with _folder() as folder:
                    verdict = try_mutant(check, mutant, Path(folder))
                row |= {"outcome": "caught" if verdict.caught else "missed", "seen": verdict.seen}
            rows.append(_printed({**row, "seconds": round(time.monotonic() - start, 1)}))
    return rows


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True)


def _skip_reason(missing: Sequence[str]) -> str:
    return f"skipped: this machine lacks {', '.join(missing)}"


def _printed(row: Row) -> Row:
    figures = "; ".join(f"{name} {_figure(value)}" for name, value in row["figures"].items())
    parts = [row["name"], row["claim"], figures or row["seen"], f"{row['seconds']:.0f} s"]
    print(f"{_mark(row)} " + " | ".join(parts), flush=True)
    return row


def _table(rows: Sequence[Row]) -> str:
    width = max((len(row["name"]) for row in rows), default=0)
    lines = [
        f"{_mark(row):<7} {row['name']:<{width}} {row['seconds']:>7.1f} s  {row['outcome']}"
        for row in rows
    ]
    total = sum(row["seconds"] for row in rows)
    return "\n".join(["", *lines, f"{len(rows)} in {total:.0f} s"])


def _mark(row: Row) -> str:
    return MARKS.get(row["outcome"], "BROKEN")


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())

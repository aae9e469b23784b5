"""Benchmark figures with their targets: table, JSON file, and comparison with the last run."""

import json
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HISTORY = HERE / "history.jsonl"
LATEST = HERE / "latest.json"
WORSE = 1.25  # a figure that is worse than the last run by more than this factor is marked


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    ``ratio`` is the value divided by that of the no-op application, measured in the same minute.
    ``aim`` is the target of the ratio, or of the value without a ratio. ``more`` says whether more
    is better.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    aim: float | None = None
    more: bool = True

    @property
    def compared(self) -> float:
        """The number that is compared with the aim and the last run: the ratio if there is one."""
        return self.value if self.ratio is None else self.ratio

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; ``None`` without an aim."""
        if self.aim is None:
            return None
        return self.compared >= self.aim if self.more else self.compared <= self.aim


def last_figures() -> dict[str, float]:
    """The newest value of each figure in the history; a run may contain only some figures."""
    if not HISTORY.exists():
        return {}
    known: dict[str, float] = {}
    for run in HISTORY.read_text().splitlines():
        known |= json.loads(run)["figures"]
    return known


def table(figures: list[Figure], before: dict[str, float]) -> str:
    """All figures as a text table."""
    rows: list[tuple[str, ...]] = [("figure", "value", "unit", "× no-op", "aim", "", "last run")]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        sign = "≥" if figure.more else "≤"
        aim = "" if figure.aim is None else f"{sign} {figure.aim:g}"
        verdict = {None: "", True: "met", False: "NOT MET"}[figure.reached]
        rows.append(
            (
                figure.name,
                f"{figure.value:,.4g}" if figure.value < 1000 else f"{figure.value:,.0f}",
                figure.unit,
                ratio,
                aim,
                verdict,
                _trend(figure, before.get(figure.name)),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _trend(figure: Figure, before: float | None) -> str:
    if not before or not figure.compared:
        return ""
    better = figure.compared / before if figure.more else before / figure.compared
    return f"{before:.4g}{' WORSE' if better < 1 / WORSE else ''}"


def save(figures: list[Figure], how: dict[str, Any]) -> None:
    """Write this run as JSON and append it to the history; ``how`` describes the run."""
    command = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    about = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **how,
    }
    whole = about | {"figures": [asdict(figure) for figure in figures]}
    LATEST.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    short = about | {"figures": {figure.name: round(figure.compared, 4) for figure in figures}}
    with HISTORY.open("a") as history:
        history.write(json.dumps(short, ensure_ascii=False) + "\n")

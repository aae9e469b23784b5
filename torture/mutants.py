"""Mutation testing: runs a check on a copy of the source tree that has one fault in it."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.processes import start
from tests.server import ROOT
from torture.check import Check, Mutant

BROKEN = 3  # exit code when a promise does not hold; 1 and 2 are Python's
MAX_SECONDS = 900


@dataclass(frozen=True)
class Verdict:
    """Whether a check detected a mutant, and what it reported."""

    caught: bool
    seen: str


def try_mutant(check: Check, mutant: Mutant, folder: Path) -> Verdict:
    """Run a check at the smallest scale on a copy of the source tree with one mutant."""
    copy, result = folder / "tree", folder / "result.json"
    copy_tree(copy)
    apply_mutant(copy, mutant)
    command = [sys.executable, "-m", "torture", "--only", check.name, "--scale", "smoke"]
    with (folder / "output.txt").open("w+") as output:
        process = start(*command, "--json", str(result), cwd=copy, stdout=output, stderr=output)
        try:
            code = process.wait(MAX_SECONDS)
        except subprocess.TimeoutExpired:
            return Verdict(False, f"did not end within {MAX_SECONDS} s")
        finally:
            process.terminate()  # it ends the servers that it started
            process.wait(60)
        output.seek(0)
        printed = output.read()
    if code == BROKEN:
        return Verdict(True, json.loads(result.read_text())["checks"][0]["seen"])
    return Verdict(False, "not noticed" if code == 0 else f"ended with {code}: {printed[-1500:]}")


def copy_tree(copy: Path) -> None:
    """Copy the tracked files and the new ones that git does not ignore."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def apply_mutant(tree: Path, mutant: Mutant) -> None:
    """Apply a mutant. Raises ``ValueError`` unless its source text occurs exactly once."""
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} has “{mutant.old}” {text.count(mutant.old)} times")
    path.write_text(text.replace(mutant.old, mutant.new))

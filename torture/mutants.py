"""Every check must be able to fail: each mutant, in a copy of the tree, turns its check red."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.server import ROOT
from torture.check import Check, Mutant

BROKEN = 3  # the exit code for a promise that does not hold, apart from Python's own
LONGEST_SECONDS = 900


@dataclass(frozen=True)
class Verdict:
    """What became of a check with a mutant in the product."""

    caught: bool
    seen: str


def try_mutant(check: Check, mutant: Mutant, folder: Path) -> Verdict:
    """Run a check at its smallest in a copy of the tree with one fault in it."""
    copy, told = folder / "tree", folder / "told.json"
    copy_tree(copy)
    spoil(copy, mutant)
    command = [sys.executable, "-m", "torture", "--only", check.name, "--scale", "smoke"]
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen(
            [*command, "--json", str(told)], cwd=copy, stdout=output, stderr=output
        )
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            return Verdict(False, f"did not end within {LONGEST_SECONDS} s")
        finally:
            process.terminate()  # it ends its servers
            process.wait(60)
        output.seek(0)
        said = output.read()
    if code == BROKEN:
        return Verdict(True, json.loads(told.read_text())["checks"][0]["seen"])
    return Verdict(False, "not noticed" if code == 0 else f"ended with {code}: {said[-1500:]}")


def copy_tree(copy: Path) -> None:
    """Copy what git knows, and what it would know."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def spoil(tree: Path, mutant: Mutant) -> None:
    """Put the fault in. Raises ``ValueError`` where its place is not found exactly once."""
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} has “{mutant.old}” {text.count(mutant.old)} times")
    path.write_text(text.replace(mutant.old, mutant.new))

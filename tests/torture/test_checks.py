"""Fault injection checks (``make torture``) at the smallest scale; their mutants fit the source."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ends_with_parent
from tests.server import ROOT
from torture.check import Check, Mutant
from torture.checks import CHECKS
from torture.mutants import apply_mutant, copy_tree

MUTANTS = [(check, mutant) for check in CHECKS for mutant in check.mutants]


@pytest.mark.parametrize(
    ("check", "mutant"), MUTANTS, ids=[f"{check.name}: {m.breaks}" for check, m in MUTANTS]
)
def test_every_mutant_has_its_place_in_the_product(
    check: Check, mutant: Mutant, tmp_path: Path
) -> None:
    copy = tmp_path / mutant.file
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes((ROOT / mutant.file).read_bytes())
    apply_mutant(tmp_path, mutant)
    if copy.suffix == ".py":
        compile(copy.read_text(), mutant.file, "exec")


def test_every_check_has_its_own_name_a_claim_and_a_mutant() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.claim.endswith("."), check.name
        assert check.mutants, f"nothing shows that {check.name} can fail"


def test_a_copy_of_the_tree_has_the_product_and_nothing_that_git_ignores(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    assert (tmp_path / "wsgi.py").exists()
    assert not (tmp_path / ".venv").exists()


SMALL = [check for check in CHECKS if check.smoke]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("check", SMALL, ids=[check.name for check in SMALL])
def test_the_promises_hold_at_the_smallest_scale(check: Check, tmp_path: Path) -> None:
    if missing := check.missing():
        pytest.skip(f"{check.name}: this machine lacks {', '.join(missing)}")
    told = tmp_path / "told.json"
    asked = ["--only", check.name, "--scale", "smoke", "--json", str(told)]
    ran = subprocess.run(
        ends_with_parent(sys.executable, "-m", "torture", *asked),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(told.read_text())["checks"][0]["outcome"] == "held"

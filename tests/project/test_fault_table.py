"""docs/reliability.md has a row with figures for every fault check."""

import re

from tests.server import ROOT
from torture.checks import CHECKS

ROW = re.compile(
    r"^\| `(?P<name>\w+)` \| (?P<claim>[^|]+) \| (?P<figures>[^|]+) \| (full|smoke) \|$"
)


def test_every_fault_check_has_its_row_with_figures() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = text.partition("<!-- figures -->")[2].partition("<!-- /figures -->")[0]
    rows = [ROW.match(line) for line in table.strip().splitlines()[2:]]
    assert None not in rows
    found = {row["name"]: row["claim"] for row in rows if row}
    assert len(found) == len(rows)
    assert found == {check.name: check.claim for check in CHECKS}
    assert all(re.search(r"\d", row["figures"]) for row in rows if row)

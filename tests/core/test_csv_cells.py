"""Escaping of CSV cells that spreadsheets would run as formulas."""

import pytest

from services.core.csv_cells import escape_formula, unescape_formula

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠x",
    " =1+1", "   @x", " \t=1", "\u00a0=1", "\u3000＝1", "\n=1", "\v=1",
    "\tx", "\rx", "\nx", "'=1", "'' =1",
]  # fmt: skip
TEXTS = ["", "Hello", "1-1", "a=b", " x ", "'", "'tis the season", "''", "x\n=1", "：＝"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_gets_one_apostrophe(cell: str) -> None:
    assert escape_formula(cell) == f"'{cell}"
    assert unescape_formula(escape_formula(cell)) == cell


@pytest.mark.parametrize("cell", TEXTS)
def test_another_text_stays(cell: str) -> None:
    assert escape_formula(cell) == cell
    assert unescape_formula(cell) == cell

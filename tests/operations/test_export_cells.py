"""The CSV export of messages: cells that spreadsheets would run as formulas."""

import csv
import io

import pytest

from services.core.messages import Message
from services.operations.export import as_csv

NUMBER, PEER = "+12025550100", "+13035550177"


@pytest.mark.parametrize(
    "text", ["=1+1", " =1+1", " @x", "\u3000＝1", "\t=1", "＠x", "'=1", "+1+1"]
)
def test_the_text_of_a_stranger_is_no_formula(text: str) -> None:
    written = "".join(as_csv([Message("in", NUMBER, PEER, text=text)], {}))
    (row,) = csv.DictReader(io.StringIO(written.removeprefix("\ufeff"), newline=""))
    assert row["text"] == f"'{text}"
    assert (row["number"], row["peer"]) == (NUMBER, PEER)

"""The rules in docs/rules.md can be copied as they stand."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from services.message_settings.reader import DocumentReader

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
NUMBERS: list[dict[str, Any]] = [
    {"number": number, "carrier": "sandbox"}
    for number in ("+12025550143", "+12025550150", "+442071838750")
]


def test_there_are_ten_of_them() -> None:
    titles = re.findall(r"^### ([0-9]+)\. ", PAGE, re.MULTILINE)
    assert titles == [str(n) for n in range(1, 11)]
    assert len(BLOCKS) >= 10


@pytest.mark.parametrize("block", BLOCKS)
def test_a_rule_is_read_beside_numbers(block: str) -> None:
    whole = {"version": 2, "numbers": NUMBERS, **json.loads(block)}
    read = DocumentReader(["sandbox"], "US").read(json.dumps(whole).encode())
    assert read.sections == json.loads(block)

"""The steps of ``docs/first-hour.md``: what the page says to type, by its numbered sections."""

import re

from tests.server import ROOT

PAGE = ROOT / "docs" / "first-hour.md"
SECTION = re.compile(r"^## (?:([0-9]+)\. )?(.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
WITHOUT_NUMBER = "If it does not arrive"


def steps() -> dict[str, list[str]]:
    """The commands of each section in the order of the page, by the section's number.

    ``If it does not arrive`` is there by its title.
    """
    text = PAGE.read_text(encoding="utf-8")
    _, *parts = SECTION.split(text)
    found = {}
    for number, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if number or title == WITHOUT_NUMBER:
            found[number or title] = BLOCK.findall(body)
    return found

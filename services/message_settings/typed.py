"""An entry as people type it: a text for each field, several things in one divided by commas."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.core.errors import EntryRefused
from services.message_settings.document import NumberSetting

PARTS = re.compile(r"[\s,;]+")


def parts(written: str) -> list[str]:
    """The things that stand in one text, divided by commas, semicolons or spaces.

    >>> parts(" 201, 202;203 ")
    ['201', '202', '203']
    """
    return [part for part in PARTS.split(written) if part]


def together(things: Iterable[str]) -> str:
    """Several things in one text."""
    return ", ".join(things)


def texts(entry: NumberSetting) -> dict[str, str]:
    """The fields of an entry, each as the text that stands for it."""
    return {
        "number": entry.number,
        "carrier": entry.carrier,
        "extensions": together(entry.extensions),
        "emails": together(entry.emails),
        "sender_id": entry.sender_id or "",
        "description": entry.description,
        "enabled": "yes" if entry.enabled else "no",
    }


def problems(error: EntryRefused, entry: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each field of an entry; of several things in one it says which."""
    found: dict[str, str] = {}
    for path, reason in error.problems.items():
        field, _, position = path.partition("[")
        if position:
            reason = f"“{entry[field][int(position.rstrip(']'))]}”: {reason}"
        found[field] = f"{found[field]} {reason}" if field in found else reason
    return found

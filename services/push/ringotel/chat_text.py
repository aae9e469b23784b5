"""How a text stands in an app that has one chat for each person, whatever number they wrote to."""

from collections.abc import Mapping, Sequence
from typing import Any


def heading(message: Mapping[str, Any], numbers: Sequence[str]) -> str:
    """To whom a received message came, where the app cannot show it: ``To +12025550143: ``.

    Empty for an extension whose ``numbers`` are only one, unless the message came to a group.

    >>> heading({"to": ["+12025550143"]}, ["+12025550143", "+12025550144"])
    'To +12025550143: '
    """
    several = len(numbers) > 1 or len(message["to"]) > 1
    return f"To {', '.join(message['to'])}: " if several else ""


def wording(message: Mapping[str, Any], numbers: Sequence[str]) -> str:
    """The text of a received message with its heading, and what is to be said of its files."""
    missing = sum(1 for file in message["media"] if file["state"] != "kept")
    lines = [heading(message, numbers) + message["text"]]
    if missing:
        lines.append(f"({missing} file{'s' if missing > 1 else ''} did not come through.)")
    return "\n".join(lines).strip()

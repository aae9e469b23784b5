"""Text of a message for apps with one chat per peer, which cannot show the receiving number."""

from collections.abc import Mapping, Sequence
from typing import Any


def number_heading(message: Mapping[str, Any], numbers: Sequence[str]) -> str:
    """The numbers that received a message, as a prefix of its text: ``To +12025550143: ``.

    Empty for an extension with one number, unless it is a group message.

    >>> number_heading({"to": ["+12025550143"]}, ["+12025550143", "+12025550144"])
    'To +12025550143: '
    """
    several = len(numbers) > 1 or len(message["to"]) > 1
    return f"To {', '.join(message['to'])}: " if several else ""


def chat_text(message: Mapping[str, Any], numbers: Sequence[str]) -> str:
    """The text of a received message with its heading, and a note about missing files."""
    missing = sum(1 for file in message["media"] if file["state"] != "kept")
    lines = [number_heading(message, numbers) + message["text"]]
    if missing:
        lines.append(f"({missing} file{'s' if missing > 1 else ''} did not come through.)")
    return "\n".join(lines).strip()

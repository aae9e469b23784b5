"""The line of a JSON document in which a value stands, for error messages."""

import json
import re
from collections.abc import Sequence

Step = str | int
"""A key of an object, or a position in a list."""

_SPACE = re.compile(r"[ \t\n\r]*")
_value = json.JSONDecoder().raw_decode


def line_of_path(document: str, path: Sequence[Step]) -> int:
    r"""The line (from 1) of the value at a path, or of the last one on the way that is there.

    The document must be valid JSON. A key that stands twice is found where it stands last.

    >>> line_of_path('{"a": [\n1,\n{"b": 2}]}', ["a", 1, "b"])
    3
    """
    position = _after_space(document, 0)
    for step in path:
        found = _items(document, position).get(step)
        if found is None:
            break
        position = found
    return document.count("\n", 0, position) + 1


def _items(document: str, position: int) -> dict[Step, int]:
    """The positions of the items of the object or list at a position, by key or index."""
    if document[position] not in "{[":
        return {}
    is_object = document[position] == "{"
    found: dict[Step, int] = {}
    position = _after_space(document, position + 1)
    while document[position] not in "}]":
        name: Step = len(found)
        if is_object:
            name, position = _value(document, position)
            position = _after_space(document, _after_space(document, position) + 1)  # the colon
        found[name] = position
        _, position = _value(document, position)
        position = _after_space(document, position)
        if document[position] == ",":
            position = _after_space(document, position + 1)
    return found


def _after_space(document: str, position: int) -> int:
    found = _SPACE.match(document, position)
    return found.end() if found else position

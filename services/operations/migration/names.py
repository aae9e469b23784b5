"""Names from another system: of contacts outside, and of the people at the extensions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from services.core.messages import clean
from services.operations.contact_files import MOST_NAME, Entry

LONGEST_PERSON = 80
JOINERS = "\u200c\u200d"  # hold emoji and some scripts together
SHORTEST_NUMBER = 5  # digits; shorter ones are extensions inside the PBX


def outside(entry: Entry) -> Entry:
    """A contact with its name in one line; ``problem`` says why it is of no use outside the PBX."""
    name = one_line(entry.name, MOST_NAME)
    problem = entry.problem
    if not name:
        problem = "It has no name."
    elif any(character.isalpha() for character in entry.number):
        problem = "A number has no letters."
    elif sum(character.isdigit() for character in entry.number) < SHORTEST_NUMBER:
        problem = "It has no number outside the PBX."
    return replace(entry, name=name, problem=problem)


def new_names(
    found: Mapping[str, str],
    extensions: Iterable[str],
    known: Mapping[str, Mapping[str, Any]],
    *,
    replaces: bool,
) -> dict[str, str]:
    """The names to write for these extensions; ``known`` is the part of Message Settings."""
    new = {}
    for extension in sorted(set(extensions)):
        name = one_line(found.get(extension, ""), LONGEST_PERSON)
        before = known.get(extension, {}).get("name")
        if name and name not in (extension, before) and (before is None or replaces):
            new[extension] = name
    return new


def one_line(text: str, most: int) -> str:
    """A name in one line without control characters, cut to so many characters."""
    visible = "".join(
        c if c.isprintable() or c.isspace() or c in JOINERS else " " for c in clean(text)
    )
    return " ".join(visible.split())[:most].strip()

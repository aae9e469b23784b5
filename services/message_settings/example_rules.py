"""Example rules, ready to complete: offered by the page of rules, and printed in docs/rules.md."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.core.errors import SettingsError

FILE = Path(__file__).with_name("example_rules.json")
NUMBER = "+12025550143"  # in the examples, our number


@dataclass(frozen=True, slots=True)
class ExampleRule:
    """One or two rules for a purpose, with the hours and groups that they name.

    One that ``comes_first`` is added above the other rules, as these would decide before it.
    """

    title: str
    sections: Mapping[str, Any]
    remark: str = ""
    comes_first: bool = False


@cache
def example_rules() -> tuple[ExampleRule, ...]:
    """All of them, the most wanted first."""
    return tuple(ExampleRule(**one) for one in json.loads(FILE.read_text("utf-8")))


def with_example(
    sections: Mapping[str, Any], example: ExampleRule, number: str | None
) -> dict[str, Any]:
    """The parts of a document with an example below the rules that are there, or above them.

    ``number`` is one of ours that takes the place of the made-up one. Hours and groups that are
    there stay as they are, but for closed dates that are added; a name of a rule that is used gets
    a digit behind it. Raises ``SettingsError`` for parts that are not of their type.
    """
    text = json.dumps(example.sections)
    added = json.loads(text.replace(NUMBER, number) if number else text)
    whole = dict(sections)
    for name, part in added.items():
        if not isinstance(sections.get(name, part), type(part)):
            braces = "[ … ]" if isinstance(part, list) else "{ … }"
            raise SettingsError(f"Nothing was added. Write “{name}” as {braces}.", name)
        if isinstance(part, dict):
            known = sections.get(name, {})
            whole[name] = part | known | _with_closed_dates(part, known)
            continue
        rules = list(sections.get(name, []))
        used = {one.get("name") for one in rules if isinstance(one, dict)}
        new = [rule | {"name": _unused(rule["name"], used)} for rule in part]
        whole[name] = new + rules if example.comes_first else rules + new
    return whole


def _with_closed_dates(part: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The hours that are there already, with the closed dates of an example added."""
    return {
        name: known[name] | {"closed": sorted({*known[name].get("closed", []), *hours["closed"]})}
        for name, hours in part.items()
        if "closed" in hours and isinstance(known.get(name), dict)
    }


def _unused(name: str, used: Collection[Any]) -> str:
    found, count = name, 1
    while found in used:
        count += 1
        found = f"{name} {count}"
    return found

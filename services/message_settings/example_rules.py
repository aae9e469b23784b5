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
    """One or two rules for a purpose, with the hours and groups that they name."""

    title: str
    sections: Mapping[str, Any]
    remark: str = ""


@cache
def example_rules() -> tuple[ExampleRule, ...]:
    """All of them, the most wanted first."""
    return tuple(ExampleRule(**one) for one in json.loads(FILE.read_text("utf-8")))


def with_example(
    sections: Mapping[str, Any], example: ExampleRule, number: str | None
) -> dict[str, Any]:
    """The parts of a document with an example below the rules that are there.

    ``number`` is one of ours that takes the place of the made-up one. Hours and groups that are
    there stay as they are; a name of a rule that is used gets a digit behind it. Raises
    ``SettingsError`` for parts that are not of their type.
    """
    text = json.dumps(example.sections)
    added = json.loads(text.replace(NUMBER, number) if number else text)
    whole = dict(sections)
    for name, part in added.items():
        if not isinstance(sections.get(name, part), type(part)):
            braces = "[ … ]" if isinstance(part, list) else "{ … }"
            raise SettingsError(f"Nothing was added. Write “{name}” as {braces}.", name)
        if isinstance(part, dict):
            whole[name] = part | sections.get(name, {})
            continue
        rules = list(sections.get(name, []))
        for rule in part:
            used = {one.get("name") for one in rules if isinstance(one, dict)}
            rules.append(rule | {"name": _unused(rule["name"], used)})
        whole[name] = rules
    return whole


def _unused(name: str, used: Collection[Any]) -> str:
    found, count = name, 1
    while found in used:
        count += 1
        found = f"{name} {count}"
    return found

"""Verdict on a message: what became of it, the next step, and who takes it (``verdicts.toml``)."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.core.commands import flask_command
from services.providers.error_table import Cause

FILE = Path(__file__).with_name("verdicts.toml")
LISTS = ("out", "carrier", "in", "missing")
KEYS = {"code", "who", "sentence", "next"}
_COMMAND = re.compile("`flask ([^`]+)`")


class Who(StrEnum):
    """Who takes the next step."""

    YOU = "you"
    CARRIER = "carrier"
    RECIPIENT = "recipient"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message: ``code`` is stable, ``sentence`` and ``next`` are for people."""

    code: str
    sentence: str
    next: str
    who: Who


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; its sentences have places for what is known, such as ``{peer}``."""

    code: str
    who: Who
    sentence: str
    next: str


def load(file: Path = FILE) -> dict[str, dict[str, Row]]:
    """The rows of each list by their codes. Raises ``ValueError`` for a malformed table."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    if set(document) != set(LISTS):
        raise ValueError(f"{file.name} must have the lists {', '.join(LISTS)}.")
    found: dict[str, dict[str, Row]] = {}
    seen: set[str] = set()
    for name in LISTS:
        for line in document[name]:
            if line.keys() != KEYS or line["code"] in seen:
                raise ValueError(f"{file.name}: {line} lacks something, or is there twice.")
            seen.add(line["code"])
            row = Row(line["code"], Who(line["who"]), line["sentence"], line["next"])
            found.setdefault(name, {})[row.code] = row
    return found


ROWS = {code: row for rows in load().values() for code, row in rows.items()}


def verdict(code: str, known: Mapping[str, str]) -> Verdict:
    """The verdict of a code with what is known of the message in its sentences.

    >>> verdict("sender_blocked", {"peer": "+13035550177", "number": "+12025550100"}).who
    <Who.YOU: 'you'>
    """
    row = ROWS[code]
    return Verdict(code, _filled(row.sentence, known), _filled(row.next, known), row.who)


def carrier_code(cause: Cause | None) -> str:
    """The code of the verdict on a text that a carrier refused for a cause."""
    return f"carrier_{cause}" if cause is not None else "carrier_refused"


def _filled(sentence: str, known: Mapping[str, str]) -> str:
    """A sentence with its commands and what is known; what is not known stays a dash.

    A reason is a sentence of its own, also where a server has ended it without a full stop.
    """
    typed = _COMMAND.sub(lambda found: f"`{flask_command(found[1])}`", sentence)
    names = re.findall(r"{(\w+)}", typed)
    values = {name: known.get(name) or "–" for name in names}
    if "reason" in values and values["reason"][-1] not in ".!?”":
        values["reason"] += "."
    return typed.format_map(values).strip()

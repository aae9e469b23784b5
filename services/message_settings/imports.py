"""Taking in a sheet: first what it would change, line by line, then all of it at once."""

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from services.core.errors import EntryRefused, SettingsError
from services.message_settings import MessageSettings, sheet
from services.message_settings.document import NumberSetting
from services.message_settings.typed import parts, problems, texts

Outcome = Literal["added", "changed", "unchanged", "refused"]
YES = ("yes", "y", "true", "1", "on", "enabled")
NO = ("no", "n", "false", "0", "off", "disabled")


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of the sheet would do. ``problems`` are sentences by field."""

    line: int
    number: str
    outcome: Outcome
    before: NumberSetting | None = None
    after: NumberSetting | None = None
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """The fields that are different, as texts before and after; of a new number all it has."""
        after = texts(self.after) if self.after else {}
        before = texts(self.before) if self.before else dict.fromkeys(after, "")
        return {name: (before[name], new) for name, new in after.items() if before[name] != new}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sheet would do to the settings of ``generation``; ``strange`` columns do nothing."""

    lines: tuple[Line, ...]
    strange: tuple[str, ...]
    generation: str

    @property
    def counts(self) -> dict[str, int]:
        """How many lines have each outcome."""
        counted = Counter(line.outcome for line in self.lines)
        return {outcome: counted[outcome] for outcome in get_args(Outcome)}

    @property
    def entries(self) -> list[NumberSetting]:
        """What is new or different."""
        wanted = ("added", "changed")
        return [line.after for line in self.lines if line.after and line.outcome in wanted]


def plan(settings: MessageSettings, content: bytes) -> Plan:
    """What a sheet (CSV) would change. Raises ``SettingsError`` for one that cannot be read.

    Numbers that are not in it stay as they are, and so do fields that it has no column for.
    """
    read = sheet.read(content)
    settings.look()
    generation = settings.generation  # before the entries: at worst it is refused as too old
    known = {entry.number: entry for entry in settings.all()}
    seen: dict[str, int] = {}
    return Plan(
        tuple(_line(settings, row, known, seen) for row in read.rows), read.strange, generation
    )


def take_in(settings: MessageSettings, planned: Plan) -> None:
    """Do what was planned, all of it at once.

    Raises ``SettingsError`` where a line is refused, ``SettingsConflict`` when Message Settings
    were changed since the plan was made.
    """
    refused = planned.counts["refused"]
    if refused:
        first = next(line for line in planned.lines if line.outcome == "refused")
        name, reason = next(iter(first.problems.items()))
        raise SettingsError(
            f"line {first.line}: {sheet.COLUMNS[name]}: {reason} Nothing was imported."
        )
    new = {entry.number: entry for entry in planned.entries}

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        there = {entry.number for entry in entries}
        changed = [new.get(entry.number, entry) for entry in entries]
        return changed + [entry for number, entry in new.items() if number not in there]

    settings.change(change, planned.generation)


def _line(
    settings: MessageSettings,
    row: sheet.Row,
    known: dict[str, NumberSetting],
    seen: dict[str, int],
) -> Line:
    written = row.cells["number"].strip()
    before = None
    wrong: dict[str, str] = {}
    try:
        number = settings.number(written)
    except SettingsError as error:
        number, wrong = written, {"number": error.reason}
    else:
        before = known.get(number)
        if number in seen:
            wrong = {"number": f"{number} stands in line {seen[number]} already."}
        seen.setdefault(number, row.line)
    entry = (asdict(before) if before else {"carrier": ""}) | _given(row.cells)
    try:
        after = settings.entry(entry | {"number": number})
    except EntryRefused as error:
        wrong = problems(error, entry) | wrong
    if not isinstance(entry.get("enabled", True), bool):
        wrong["enabled"] = "Write yes or no."
    if wrong:
        return Line(row.line, number, "refused", before, problems=wrong)
    outcome: Outcome = "added" if before is None else "changed"
    return Line(row.line, number, "unchanged" if after == before else outcome, before, after)


def _given(cells: dict[str, str]) -> dict[str, Any]:
    """What the cells of a line say; a carrier or a state that is not given says nothing."""
    given: dict[str, Any] = {name: cell for name, cell in cells.items() if name != "number"}
    for name in ("extensions", "emails"):
        if name in given:
            given[name] = parts(given[name])
    if "sender_id" in given:
        given["sender_id"] = given["sender_id"].strip() or None
    if "carrier" in given:
        given["carrier"] = re.sub("[^a-z0-9]", "", given["carrier"].casefold())
    if "enabled" in given:
        word = given["enabled"].strip().casefold()
        given["enabled"] = True if word in YES else False if word in NO else word
    return {name: value for name, value in given.items() if value != "" or name == "description"}

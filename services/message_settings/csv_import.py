"""CSV import into Message Settings: a plan that shows each line's changes, then all at once."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from services.core.errors import EntryRefused, SettingsError
from services.message_settings.csv_format import COLUMNS, Row, read_csv
from services.message_settings.fields import FIELDS, Field, FieldType, NumberSetting
from services.message_settings.form_values import as_texts, from_text, problems_by_field
from services.message_settings.settings import MessageSettings
from services.message_settings.slices import in_slices

LineResult = Literal["added", "changed", "unchanged", "refused"]
YES = ("yes", "y", "true", "1", "on", "enabled")
NO = ("no", "n", "false", "0", "off", "disabled")
BY_NAME = {declared.name: declared for declared in FIELDS}


@dataclass(frozen=True, slots=True)
class ImportLine:
    """What a line of the CSV file would change. ``problems`` are sentences by field."""

    line: int
    number: str
    outcome: LineResult
    before: NumberSetting | None = None
    after: NumberSetting | None = None
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """The texts before and after of each field that differs; of a new entry all its fields."""
        after = as_texts(self.after) if self.after else {}
        before = as_texts(self.before) if self.before else dict.fromkeys(after, "")
        return {name: (before[name], new) for name, new in after.items() if before[name] != new}


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a CSV file would change in the settings of ``generation``."""

    lines: tuple[ImportLine, ...]
    unknown_columns: tuple[str, ...]
    generation: str

    @property
    def counts(self) -> dict[str, int]:
        """The number of lines by outcome."""
        counted = Counter(line.outcome for line in self.lines)
        return {outcome: counted[outcome] for outcome in get_args(LineResult)}

    @property
    def entries(self) -> list[NumberSetting]:
        """The entries that are added or changed."""
        wanted = ("added", "changed")
        return [line.after for line in self.lines if line.after and line.outcome in wanted]


def plan_import(settings: MessageSettings, content: bytes) -> ImportPlan:
    """Compare a CSV file with the settings. Raises ``SettingsError`` if it cannot be read.

    Numbers that are not in the file stay as they are, and so do fields without a column.
    """
    file = read_csv(content)
    settings.look()
    generation = settings.generation  # read first: a change after it is found when it is applied
    known = {entry.number: entry for entry in settings.all()}
    lines: dict[str, int] = {}
    return ImportPlan(
        tuple(_plan_line(settings, row, known, lines) for row in in_slices(file.rows)),
        file.unknown_columns,
        generation,
    )


def apply_import(settings: MessageSettings, plan: ImportPlan) -> None:
    """Make all changes of a plan at once.

    Raises ``SettingsError`` if a line is refused, ``SettingsConflict`` if Message Settings were
    changed since ``plan.generation``.
    """
    if plan.counts["refused"]:
        first = next(line for line in plan.lines if line.outcome == "refused")
        name, reason = next(iter(first.problems.items()))
        raise SettingsError(f"line {first.line}: {COLUMNS[name]}: {reason} Nothing was imported.")
    new = {entry.number: entry for entry in plan.entries}

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        known = {entry.number for entry in entries}
        changed = [new.get(entry.number, entry) for entry in entries]
        return changed + [entry for number, entry in new.items() if number not in known]

    settings.change(change, plan.generation)


def _plan_line(
    settings: MessageSettings, row: Row, known: dict[str, NumberSetting], lines: dict[str, int]
) -> ImportLine:
    """Compare a row with its entry in ``known``; ``lines`` collects the line of each number."""
    text = row.cells["number"].strip()
    before = None
    problems: dict[str, str] = {}
    try:
        number = settings.number(text)
    except SettingsError as error:
        number, problems = text, {"number": error.reason}
    else:
        before = known.get(number)
        if number in lines:
            problems = {"number": f"{number} stands in line {lines[number]} already."}
        lines.setdefault(number, row.line)
    entry = (asdict(before) if before else {"carrier": ""}) | values_of(row.cells)
    try:
        after = settings.entry(entry | {"number": number})
    except EntryRefused as error:
        problems = problems_by_field(error, entry) | problems
    for declared in FIELDS:
        if declared.kind is FieldType.FLAG and not isinstance(entry.get(declared.name, True), bool):
            problems[declared.name] = "Write yes or no."
    if problems:
        return ImportLine(row.line, number, "refused", before, problems=problems)
    outcome: LineResult = "added" if before is None else "changed"
    return ImportLine(row.line, number, "unchanged" if after == before else outcome, before, after)


def values_of(cells: Mapping[str, str]) -> dict[str, Any]:
    """The values of a row without its number; an empty carrier or flag is no value."""
    values = {name: _value(BY_NAME[name], cell) for name, cell in cells.items() if name != "number"}
    needed = (FieldType.CARRIER, FieldType.FLAG)
    return {
        name: value
        for name, value in values.items()
        if value != "" or BY_NAME[name].kind not in needed
    }


def _value(declared: Field, cell: str) -> Any:
    if declared.kind is FieldType.CARRIER:
        return re.sub("[^a-z0-9]", "", cell.casefold())
    if declared.kind is FieldType.FLAG:
        word = cell.strip().casefold()
        return True if word in YES else False if word in NO else word
    return from_text(declared, cell)

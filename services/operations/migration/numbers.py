"""Plan for the numbers of another system: what becomes of each row in Message Settings."""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from services.config.parsers import email_address
from services.core.errors import EntryRefused, SettingsError
from services.message_settings import MessageSettings, NumberSetting
from services.message_settings.csv_format import COLUMNS
from services.message_settings.csv_import import values_of
from services.message_settings.fields import FIELDS, FieldType, extension
from services.message_settings.form_values import as_texts, problems_by_field
from services.operations.migration.source import NumberRow

CHECKS: Mapping[str, Callable[[str], object]] = {
    "extensions": extension,
    "emails": email_address,
}
MOST = {declared.name: declared.max_length for declared in FIELDS if declared.max_length}
FLAGS = {"t": "yes", "f": "no"}  # as PostgreSQL writes them


class Outcome(StrEnum):
    """What becomes of a row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"  # it is there just so
    KEPT = "kept"  # it is there in another way, and is not overwritten
    MERGED = "merged"  # a row above has the same number
    LATER = "for later"  # its carrier is none of ours
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class NumberLine:
    """A row and what becomes of it; ``remarks`` are sentences for people."""

    row: NumberRow
    number: str
    outcome: Outcome
    remarks: tuple[str, ...] = ()
    before: NumberSetting | None = None
    after: NumberSetting | None = None


@dataclass(eq=False)
class NumberPlan:
    """What would be done with all rows, to Message Settings of ``generation``.

    ``carriers`` are our names of carriers by those of the other system (``carrier_key``).
    """

    settings: MessageSettings
    carriers: Mapping[str, str]
    replaces: bool
    generation: str
    lines: list[NumberLine] = field(default_factory=list)

    @property
    def entries(self) -> dict[str, NumberSetting]:
        """The entries of Message Settings that the rows stand for, as they will be."""
        found = {}
        for line in self.lines:
            if line.outcome is Outcome.KEPT and line.before is not None:
                found[line.number] = line.before
            elif line.after is not None:
                found[line.number] = line.after
        return found

    @property
    def changes(self) -> dict[str, NumberSetting]:
        """The entries to write."""
        wanted = (Outcome.ADDED, Outcome.CHANGED)
        return {one.number: one.after for one in self.lines if one.after and one.outcome in wanted}

    @property
    def left_out(self) -> list[NumberLine]:
        """The rows of which nothing is taken."""
        return [one for one in self.lines if one.outcome in (Outcome.LATER, Outcome.LEFT_OUT)]

    def read(self, rows: Iterable[NumberRow]) -> None:
        """Plan all rows; those with the same number become one entry."""
        groups: dict[str, list[NumberRow]] = {}
        for row in rows:
            try:
                number = self.settings.number(row.cells.get("number", "").strip())
            except SettingsError as error:
                written = row.cells.get("number", "")
                self.lines.append(NumberLine(row, written, Outcome.LEFT_OUT, (error.reason,)))
                continue
            groups.setdefault(number, []).append(row)
        known = {entry.number: entry for entry in self.settings.all()}
        for number, together in groups.items():
            self._plan(number, together, known.get(number))

    def _plan(self, number: str, rows: Sequence[NumberRow], before: NumberSetting | None) -> None:
        first, *others = rows
        cells, remarks = dict(first.cells), [first.remark]
        for other in others:
            remarks += [*_merge(cells, other), other.remark]
        values, problems = self._values(cells)
        remarks += problems
        if not values.get("carrier") and before is not None:
            values["carrier"] = before.carrier
        line = self._line(first, number, values, before)
        self.lines.append(replace(line, remarks=_said(*line.remarks, *remarks)))
        for other in others:
            outcome = Outcome.MERGED if line.after is not None else line.outcome
            self.lines.append(
                NumberLine(other, number, outcome, (f"{first.place} has this number, too.",))
            )

    def _line(
        self,
        row: NumberRow,
        number: str,
        values: Mapping[str, Any],
        before: NumberSetting | None,
    ) -> NumberLine:
        known: dict[str, Any] = asdict(before) if before else {"carrier": ""}
        entry = {**known, **values, "number": number}
        try:
            after = self.settings.entry(entry)
        except EntryRefused as error:
            written = row.cells.get("carrier", "").strip()
            if set(error.problems) == {"carrier"}:
                return NumberLine(row, number, Outcome.LATER, (_no_carrier(written),))
            said = problems_by_field(error, entry)
            reasons = tuple(f"{COLUMNS.get(name, name)}: {text}" for name, text in said.items())
            return NumberLine(row, number, Outcome.LEFT_OUT, reasons)
        if before is None:
            return NumberLine(row, number, Outcome.ADDED, (), None, after)
        if before == after:
            return NumberLine(row, number, Outcome.UNCHANGED, (), before, after)
        outcome = Outcome.CHANGED if self.replaces else Outcome.KEPT
        return NumberLine(row, number, outcome, (differences(before, after),), before, after)

    def _values(self, cells: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """The values of a row that are not empty, and what was left out of them."""
        written = {name: cell for name, cell in cells.items() if cell.strip()}
        flag = written.get("enabled", "").strip().casefold()
        if flag in FLAGS:
            written["enabled"] = FLAGS[flag]
        carrier = self.carriers.get(carrier_key(written.get("carrier", "")))
        if carrier is not None:
            written["carrier"] = carrier
        values, remarks = values_of(written), []
        values.pop("number", None)
        for name, check in CHECKS.items():
            good, bad = _checked(values.get(name, ()), check)
            if name in values:
                values[name] = good
            remarks += [f"{COLUMNS[name]} left out: {problem}" for problem in bad]
        for name, most in MOST.items():
            if len(str(values.get(name) or "")) > most:
                values[name] = str(values[name])[:most]
                remarks.append(f"{COLUMNS[name]} is cut to {most} characters.")
        for declared in FIELDS:
            if declared.kind is FieldType.FLAG and not isinstance(
                values.get(declared.name, True), bool
            ):
                remarks.append(f"{declared.column} is “{values[declared.name]}”, read as no.")
                values[declared.name] = False
        return values, remarks


def carrier_key(name: str) -> str:
    """A carrier's name as it is compared.

    >>> carrier_key("VoIP.ms"), carrier_key(" ")
    ('voipms', '')
    """
    return re.sub("[^a-z0-9]", "", name.casefold())


def differences(before: NumberSetting, after: NumberSetting) -> str:
    """What differs between two entries, by the titles of their columns."""
    old, new = as_texts(before), as_texts(after)
    return "; ".join(
        f"{COLUMNS[name]}: {old[name] or '-'} → {new[name] or '-'}"
        for name in old
        if old[name] != new[name]
    )


def _merge(cells: dict[str, str], other: NumberRow) -> list[str]:
    """Add extensions and e-mails of another row of the number; say what else differs."""
    remarks = []
    for name, cell in other.cells.items():
        known = cells.get(name, "")
        if name in CHECKS:
            cells[name] = f"{known} {cell}".strip()
        elif not known.strip():
            cells[name] = cell
        elif name != "number" and cell.strip() and cell.strip() != known.strip():
            remarks.append(f"{other.place} has another {COLUMNS[name]}: “{cell.strip()[:40]}”.")
    return remarks


def _checked(items: Iterable[str], check: Callable[[str], object]) -> tuple[list[str], list[str]]:
    """The items that are valid, each once, and a sentence for each that is not."""
    good: dict[str, None] = {}
    bad = []
    for item in items:
        try:
            check(item)
        except ValueError as error:
            bad.append(f"“{item[:60]}”: {error}")
        else:
            good[item] = None
    return list(good), bad


def _no_carrier(written: str) -> str:
    if not written:
        return "No carrier is named. Name it: --carrier =bandwidth, or another of yours."
    option = shlex.quote(f"{written[:40]}=bandwidth")
    return (
        f"Textbridge has no carrier “{written[:40]}”. Name one of yours for it: "
        f"--carrier {option}, or another."
    )


def _said(*remarks: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(remark for remark in remarks if remark))

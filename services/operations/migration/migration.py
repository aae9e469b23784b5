"""Migration: plans what would be taken from another system, then takes it.

The order of the steps: opt-outs first, so that nobody can be texted who has said STOP; then
numbers, names of extensions, contacts; the history last. Each step may be repeated.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from services.core.csv_cells import safe_cell
from services.core.progress import Progress
from services.message_settings import MessageSettings, NumberSetting
from services.message_settings.csv_format import COLUMNS
from services.operations.contact_book import ContactBook, ContactPlan
from services.operations.contact_files import Entry
from services.operations.migration.history import Brought, History, Survey
from services.operations.migration.names import new_names, outside
from services.operations.migration.numbers import NumberPlan, carrier_key
from services.operations.migration.proof import Proofs
from services.operations.migration.source import Source
from services.operations.migration.text_reader import TextReader
from services.operations.retention import Retention
from services.providers import NAMES

log = structlog.get_logger()
EXTENSION_NAME_TITLE = "Extension Name"  # a column that Message Settings do not have


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for.

    Without ``with_history`` no message is taken, only its STOPs are recorded. ``carriers`` are our
    names of carriers by those of the other system, as they were typed. Texts before ``since``
    (seconds since 1970) are left out.
    """

    replaces: bool = False
    carriers: Mapping[str, str] = field(default_factory=dict)
    with_history: bool = True
    since: float = 0.0


@dataclass(eq=False)
class Plan:
    """What would be done. ``names`` are those of extensions, ``survey`` is the history.

    ``entries`` are the contacts of the source, ``contacts`` is what becomes of them;
    ``extension_names`` are those of the source.
    """

    wishes: Wishes
    numbers: NumberPlan
    entries: list[Entry]
    contacts: ContactPlan
    names: dict[str, str]
    reader: TextReader
    survey: Survey
    remarks: list[str]
    extension_names: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Whether everything is there already."""
        return not (
            self.numbers.changes
            or self.contacts.changes
            or self.names
            or self.survey.new
            or self.survey.stops
            or self.survey.files
        )


@dataclass(frozen=True, slots=True)
class Done:
    """How much was written.

    ``files`` were fetched for messages that were there already, ``files_missing`` could not be
    fetched; ``gave_up``: the web server did not hand over five in a row, so that not all of them
    were tried.
    """

    numbers: int
    extensions: int
    contacts: int
    opt_outs: int
    messages: int
    files: int = 0
    files_missing: int = 0
    gave_up: bool = False


@dataclass(eq=False)
class Migration:
    """Takes over numbers, names, contacts and history.

    ``country`` is that of numbers without a country code.
    """

    settings: MessageSettings
    contact_book: ContactBook
    history: History
    proofs: Proofs
    retention: Retention
    country: str

    def plan(self, source: Source, wishes: Wishes, progress: Progress) -> Plan:
        """Read everything and write nothing. Raises ``SourceError`` and ``StorageUnwell``."""
        self.settings.look()
        carriers = dict(NAMES) | {carrier_key(k): v for k, v in wishes.carriers.items()}
        numbers = NumberPlan(self.settings, carriers, wishes.replaces, self.settings.generation)
        numbers.read(source.numbers())
        entries = list(map(outside, source.contacts()))
        people = self.contact_book.preview_entries(entries, replace=wishes.replaces)
        found = source.extension_names()
        names = new_names(
            found,
            (name for entry in numbers.entries.values() for name in entry.extensions),
            self.settings.sections.get("extensions", {}),
            replaces=wishes.replaces,
        )
        own = {one.number: one.carrier for one in self.settings.all()}
        own |= {number: entry.carrier for number, entry in numbers.entries.items()}
        since = max(wishes.since, self.retention.ages().messages or 0.0)
        reader = TextReader(source.name, own, carriers, self.country, since)
        survey = self.history.survey(source, reader, progress)
        if not wishes.with_history:  # who has said STOP is opted out all the same
            survey = Survey(stops=survey.stops)
        remarks = list(source.remarks())
        return Plan(wishes, numbers, entries, people, names, reader, survey, remarks, found)

    def carry_out(self, source: Source, plan: Plan, progress: Progress) -> Done:
        """Do what was planned.

        Raises ``SettingsConflict`` if Message Settings were changed meanwhile, ``SourceError`` and
        ``StorageUnwell``. What was done before stays; doing it again goes on from there.
        """
        # Read again: while somebody is asked, a STOP may come in. The messages below are read in
        # the same transaction of the source.
        stops = self.history.survey(source, plan.reader, progress).stops
        recorded = self.history.record_stops(stops, source.title)
        self._write_numbers(plan.numbers)
        if plan.names:
            self._write_names(plan.names)
        people = 0
        if plan.contacts.changes:
            replaces = plan.wishes.replaces
            written = self.contact_book.import_entries(plan.entries, replace=replaces)
            people = len(written.changes)
        brought = Brought()
        if plan.survey.new or plan.survey.files:
            brought = self.history.bring(source, plan.reader, plan.survey.total, progress)
        done = Done(
            len(plan.numbers.changes),
            len(plan.names),
            people,
            recorded,
            brought.messages,
            brought.files,
            brought.files_missing,
            brought.gave_up,
        )
        log.info("migrated", system=source.name, numbers=done.numbers, messages=done.messages)
        return done

    def _write_numbers(self, plan: NumberPlan) -> None:
        new = plan.changes
        if not new:
            return

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            known = {entry.number for entry in entries}
            changed = [new.get(entry.number, entry) for entry in entries]
            return changed + [entry for number, entry in new.items() if number not in known]

        self.settings.change(change, plan.generation)

    def _write_names(self, names: Mapping[str, str]) -> None:
        def change(known: Mapping[str, Any]) -> Mapping[str, Any]:
            named = {one: {**known.get(one, {}), "name": name} for one, name in names.items()}
            return {**known, **named}

        self.settings.change_extensions(change)


def write_left_out(plan: Plan, path: Path) -> None:
    """Write the rows that were not taken into a CSV file, which ``flask migrate csv`` reads.

    A file that is there is replaced as a whole, once everything is written.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with new.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS.values(), EXTENSION_NAME_TITLE, "Reason"])
        for line in plan.numbers.left_out:
            cells = [line.row.cells.get(name, "") for name in COLUMNS]
            name = plan.extension_names.get(line.row.cells.get("extensions", "").strip(), "")
            writer.writerow(map(safe_cell, [*cells, name, " ".join(line.remarks)]))
    new.replace(path)

"""``flask settings export``, ``import`` and ``import-holidays``: documents, CSV and calendars."""

import json
from dataclasses import replace
from typing import BinaryIO

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, json_option, note, note_rule_warnings, table
from services.core.calendar_file import MOST_BYTES as MOST_CALENDAR_BYTES
from services.core.errors import SettingsError
from services.message_settings.csv_format import COLUMNS, MOST_BYTES, write_csv
from services.message_settings.csv_import import ImportLine, ImportPlan, apply_import, plan_import
from services.message_settings.document import encode_document, entry_object
from services.message_settings.holidays import MOST_YEARS, YEARS, HolidayPlan, plan_holidays

csv_option = click.option(
    "--csv", "as_csv", is_flag=True, help="A CSV file of the numbers, as spreadsheets have it."
)


@command("export")
@click.argument("file", type=click.File("xb", lazy=False))
@csv_option
@click.option("--version", type=click.IntRange(1, 1), help="1: what Textbridge 0.1.0 can read.")
def export(file: BinaryIO, as_csv: bool, version: int | None) -> None:
    """Write the whole document to a new FILE (-: standard output), as to edit it by hand."""
    settings = parts().settings
    if as_csv:
        file.write(write_csv(settings.all()))
    elif version is None:
        file.write(settings.document())
    else:
        _export_version_1(file)
    if (as_csv or version) and settings.problem is not None:
        note(f"{settings.problem} These are the last good settings.")


def _export_version_1(file: BinaryIO) -> None:
    settings = parts().settings
    entries = settings.all()
    file.write(encode_document(replace(entry, aliases=()) for entry in entries))
    left_out = list(settings.sections)
    if any(entry.aliases for entry in entries):
        left_out.append("aliases")
    if left_out:
        note(f"Left out, as version 1 does not have it: {', '.join(left_out)}.")


@command("import")
@click.argument("file", type=click.File("rb"))
@csv_option
@click.option("--dry-run", is_flag=True, help="Check only, and tell what would change.")
@json_option
def import_settings(file: BinaryIO, as_csv: bool, dry_run: bool, as_json: bool) -> None:
    """Put the document in FILE (-: standard input) in the place of the whole one.

    It is checked first; what is wrong with it is told with line and column, and changes nothing.
    With --csv the numbers in FILE are added or changed, and all others stay as they are; one bad
    line, and nothing is changed.
    """
    try:
        if as_csv:
            plan = plan_import(parts().settings, file.read(MOST_BYTES + 1))
            _import_csv(plan, dry_run, as_json)
        else:
            _import_document(file.read(), dry_run, as_json)
    except SettingsError as error:
        raise click.ClickException(f"{file.name} cannot be used: {error}") from None


def _import_document(content: bytes, dry_run: bool, as_json: bool) -> None:
    settings = parts().settings
    count = len(json.loads(settings.checked(content))["numbers"])
    if not dry_run:
        settings.put_document(content)
    if as_json:
        told = {} if dry_run else {"warnings": parts().rule_warnings.all()}
        document({"dry_run": dry_run, "numbers": count, **told})
    elif dry_run:
        click.echo(f"It is in order: Message Settings would have {count} numbers.")
    else:
        click.echo(f"Message Settings have {count} numbers now.")
    if not dry_run and not as_json:
        note_rule_warnings()


def _import_csv(plan: ImportPlan, dry_run: bool, as_json: bool) -> None:
    refused = plan.counts["refused"]
    if not dry_run and not refused:
        apply_import(parts().settings, plan)
    if as_json:
        document(
            {
                "dry_run": dry_run,
                "imported": not dry_run and not refused,
                **plan.counts,
                "strange_columns": plan.unknown_columns,
                "lines": [_as_json(line) for line in plan.lines],
            }
        )
    else:
        _show(plan, dry_run)
    if refused:
        click.echo("Error: Nothing was imported. Fix the refused lines.", err=True)
        raise SystemExit(1)


def _as_json(line: ImportLine) -> dict[str, object]:
    return {
        "line": line.line,
        "number": line.number,
        "outcome": line.outcome,
        "entry": entry_object(line.after) if line.after else None,
        "problems": line.problems,
    }


def _show(plan: ImportPlan, dry_run: bool) -> None:
    if plan.unknown_columns:
        note(f"Nothing is read from these columns: {', '.join(plan.unknown_columns)}.")
    lines = [line for line in plan.lines if line.outcome != "unchanged"]
    if lines:
        rows = [(line.line, line.number, line.outcome, _as_text(line)) for line in lines]
        table(("LINE", "NUMBER", "OUTCOME", "WHAT"), rows, "")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in plan.counts.items())
    click.echo(f"{'It would be' if dry_run else 'Of the lines'}: {counts}.")


def _as_text(line: ImportLine) -> str:
    if line.problems:
        return " ".join(f"{COLUMNS[name]}: {said}" for name, said in line.problems.items())
    return "; ".join(
        f"{COLUMNS[name]}: {before or '-'} → {after or '-'}" if line.before else after
        for name, (before, after) in line.changes.items()
        if line.before or name != "number"
    )


@command("import-holidays")
@click.argument("file", type=click.File("rb"))
@click.argument("hours")
@click.option(
    "--years",
    type=click.IntRange(1, MOST_YEARS),
    default=YEARS,
    show_default=True,
    help="How many years, with this one.",
)
@click.option("--replace", is_flag=True, help="Remove the dates that were closed before.")
@click.option("--dry-run", is_flag=True, help="Check only, and tell what would change.")
@json_option
def import_holidays(
    file: BinaryIO, hours: str, years: int, replace: bool, dry_run: bool, as_json: bool
) -> None:
    """Add the holidays of a calendar FILE (.ics; -: standard input) to the closed dates of HOURS.

    Its whole days become dates; other events are left out and named.
    """
    settings = parts().settings
    content = file.read(MOST_CALENDAR_BYTES + 1)
    try:
        plan = plan_holidays(settings, hours, content, years=years, replace=replace)
    except SettingsError as error:
        what = file.name if error.field == "file" else "This"
        raise click.ClickException(f"{what} cannot be used: {error.reason}") from None
    if not dry_run:
        settings.put_sections(plan.sections, plan.generation)
    if as_json:
        document(
            {
                "dry_run": dry_run,
                "hours": hours,
                "closed": {day.isoformat(): title for day, title in plan.titles.items()},
                "new": [day.isoformat() for day in plan.new],
                "left_out": plan.left_out,
            }
        )
    else:
        _show_holidays(plan, dry_run)


def _show_holidays(plan: HolidayPlan, dry_run: bool) -> None:
    for sentence in plan.left_out:
        note(f"Left out: {sentence}")
    new = set(plan.new)
    rows = [(day, "new" if day in new else "as before", t) for day, t in plan.titles.items()]
    table(("DATE", "CLOSED", "HOLIDAY"), rows, "")
    dates = "1 date" if len(new) == 1 else f"{len(new)} dates"
    click.echo(f"{dates} {'would be' if dry_run else 'were'} added to the hours “{plan.hours}”.")

"""``flask contacts``: names of numbers with notes, shared by all apps of the installation."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from blueprints.cli.parts import parts
from blueprints.cli.private_file import close_to_others
from blueprints.cli.terminal import Group, document, escaped, json_option, short, table
from services.core.commands import flask_command
from services.core.errors import RequestRefused
from services.operations.contact_book import ContactBook, ContactLine, ContactPlan
from services.operations.contact_files import MOST_BYTES, write_csv, write_vcards

MOST_LISTED = 200  # lines of a file that a table shows
group = Group("contacts", help="The names of numbers, which all apps share.")


def book() -> ContactBook:
    """The contacts of this installation."""
    return parts().contact_book


@group.command("list")
@click.option("--search", default="", help="Only those with these words or digits anywhere.")
@json_option
def show(search: str, as_json: bool) -> None:
    """List the contacts by name."""
    known = book().find(search)
    if as_json:
        document([asdict(contact) for contact in known])
        return
    table(
        ("NUMBER", "NAME", "NOTE"),
        [(contact.number, contact.name, short(contact.note)) for contact in known],
        "No such contact."
        if search
        else "No contact. Add one: " + flask_command('contacts set +13035550177 "Ann Example"'),
    )


@group.command("set")
@click.argument("number")
@click.argument("name")
@click.option("--note", help="What all users may know of it; '' removes it. Without it, it stays.")
def put(number: str, name: str, note: str | None) -> None:
    """Give NUMBER a name, or another one."""
    if note is None:
        known = book().by_number(book().address(number))
        note = known.note if known is not None else ""
    contact = book().contact(number, name, note)
    book().put(contact)
    click.echo(f"{contact.number} is {escaped(contact.name)}.")


@group.command()
@click.argument("number")
def remove(number: str) -> None:
    """Forget the name of NUMBER, and its note."""
    address = book().address(number)
    if not book().remove(address):
        raise RequestRefused(
            "not_found", f"{address} has no name. See: {flask_command('contacts list')}", status=404
        )
    click.echo("The contact was removed.")


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keep", is_flag=True, help="Leave contacts that are there as they are.")
@click.option("--skip-refused", is_flag=True, help="Leave out lines that cannot be used.")
@click.option("--dry-run", is_flag=True, help="Check only, and tell what would change.")
@json_option
def import_contacts(
    file: Path, keep: bool, skip_refused: bool, dry_run: bool, as_json: bool
) -> None:
    """Add the contacts of a vCard or CSV FILE, all of them or, if a line is wrong, none.

    The first line of CSV names the columns: “number”, “name” and, if wanted, “note”; exports of
    Google Contacts and Outlook are understood as well. Numbers that have a name get the one of the
    file, unless --keep is given.
    """
    with file.open("rb") as opened:
        content = opened.read(MOST_BYTES + 1)
    if dry_run:
        plan = book().preview(content, replace=not keep)
    else:
        plan = book().import_file(content, replace=not keep, stops_if_refused=not skip_refused)
    stops = bool(plan.counts["refused"]) and not skip_refused
    if as_json:
        document(_as_json(plan, dry_run=dry_run, imported=not dry_run and not stops))
    else:
        _show(plan, told="It would be" if dry_run or stops else "Of the lines")
    if stops:
        wrong = next(line for line in plan.lines if line.outcome == "refused")
        click.echo(
            f"Error: Line {wrong.line}: {escaped(wrong.reason)} Nothing was imported. Fix the "
            "refused lines, or leave them out: --skip-refused",
            err=True,
        )
        raise SystemExit(1)


@group.command("export")
@click.argument("target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--vcard",
    "version",
    type=click.Choice(["3.0", "4.0"]),
    help="As vCards of this version, which phones read, instead of CSV.",
)
def export_contacts(target: Path, version: str | None) -> None:
    """Write all contacts into a CSV FILE (“-”: standard output). Only you can read the file."""
    found = book().find()
    if version is None:
        content = write_csv(found)
    else:
        content = write_vcards(found, "4.0" if version == "4.0" else "3.0")
    if str(target) == "-":
        sys.stdout.buffer.write(content)
        return
    with target.open("wb") as file:
        close_to_others(file)
        file.write(content)
    click.echo(f"{len(found)} contacts were written to {escaped(str(target))}.")


def _as_json(plan: ContactPlan, **told: bool) -> dict[str, object]:
    lines = [
        {
            "line": line.line,
            "number": line.number,
            "outcome": line.outcome,
            "contact": asdict(line.contact) if line.contact is not None else None,
            "reason": line.reason or None,
        }
        for line in plan.lines
    ]
    return {**told, **plan.counts, "lines": lines}


def _show(plan: ContactPlan, told: str) -> None:
    lines = [line for line in plan.lines if line.outcome != "unchanged"]
    lines.sort(key=lambda line: not line.reason)
    table(
        ("LINE", "NUMBER", "OUTCOME", "WHAT"),
        [
            (line.line, short(line.number), line.outcome, _as_text(line))
            for line in lines[:MOST_LISTED]
        ],
        "Nothing is new in the file.",
        cut=False,
    )
    if len(lines) > MOST_LISTED:
        click.echo(f"And {len(lines) - MOST_LISTED:,} lines more.")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in plan.counts.items())
    click.echo(f"{told}: {counts}.")


def _as_text(line: ContactLine) -> str:
    if line.reason or line.contact is None:
        return line.reason
    if line.before is None:
        return line.contact.name
    return f"{line.before.name} → {line.contact.name}"

"""What ``flask migrate`` prints: its plan line by line, what was done, and both as JSON."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from blueprints.cli.terminal import escaped, moment, note, stamp, table
from services.core.commands import flask_command
from services.operations.contact_book import ContactLine
from services.operations.migration.history import Stop
from services.operations.migration.migration import Done, Plan
from services.operations.migration.numbers import NumberLine, Outcome
from services.operations.migration.proof import Proof
from services.providers import NAMES

SHOWN = 50  # contacts and numbers of the history that are listed


def show(plan: Plan) -> None:
    """Print what would be done, line by line."""
    _show_numbers(plan)
    _show_contacts(plan)
    if plan.names:
        rows = [(extension, "added", name) for extension, name in plan.names.items()]
        table(("EXTENSION", "BECOMES", "NAME"), rows, "")
        click.echo()
    _show_history(plan)
    for remark in plan.remarks:
        note(remark)


def _show_numbers(plan: Plan) -> None:
    rows = [
        (line.row.place, escaped(line.number), line.outcome, _words(line))
        for line in plan.numbers.lines
    ]
    table(("WHERE", "NUMBER", "BECOMES", "WHAT"), rows, "There are no numbers.", wrap=True)
    click.echo(f"{_counted(line.outcome for line in plan.numbers.lines)}\n")


def _words(line: NumberLine) -> str:
    said = list(line.remarks)
    if line.outcome is Outcome.ADDED and line.after is not None:
        reached = ", ".join((*line.after.extensions, *line.after.emails)) or "nobody"
        off = "" if line.after.enabled else ", disabled"
        said.insert(0, f"{line.after.carrier} → {reached}{off}.")
    return " ".join(said)


def _show_contacts(plan: Plan) -> None:
    lines = plan.contacts.lines
    if not lines:
        return
    noted = [one for one in lines if one.outcome not in ("added", "unchanged")]
    rows = [(one.line, one.number, one.outcome, _contact_words(one)) for one in noted[:SHOWN]]
    if rows:
        table(("LINE", "CONTACT", "BECOMES", "WHAT"), rows, "", wrap=True)
    if len(noted) > SHOWN:
        click.echo(f"… and {len(noted) - SHOWN} more like these.")
    counts = ", ".join(f"{count} {name}" for name, count in plan.contacts.counts.items() if count)
    click.echo(f"Contacts: {counts}\n")


def _contact_words(line: ContactLine) -> str:
    if line.before is not None and line.contact is not None and line.outcome == "changed":
        return f"{line.before.name} → {line.contact.name}"
    return f"{line.contact.name}: {line.reason}" if line.contact is not None else line.reason


def _show_history(plan: Plan) -> None:
    survey = plan.survey
    if survey.total:
        rows = [(number, count) for number, count in survey.by_number.most_common(SHOWN)]
        table(("NUMBER", "MESSAGES"), rows, "No message can be taken.")
        more = len(survey.by_number) - len(rows)
        if more > 0:
            click.echo(f"… and {more} more numbers.")
        left = survey.left_out.total()
        click.echo(
            f"Messages: {survey.total:,}, of which {survey.new:,} new, {survey.known:,} there "
            f"already, {left:,} left out."
        )
        for remark, count in survey.remarks.most_common():
            click.echo(f"  {count:,} taken in part: {remark}")
        if survey.files:
            click.echo(f"  Files of an earlier run that are tried again: {survey.files:,}")
        for reason, count in survey.left_out.most_common():
            examples = ", ".join(survey.examples[reason])
            click.echo(f"  {count:,} left out: {reason} ({escaped(examples)})")
        click.echo()
    if survey.stops:
        rows_of_stops = [
            (one.message.peer, one.message.number, moment(_time_of(one)), one.word)
            for one in survey.stops
        ]
        table(("OPT-OUT OF", "FROM NUMBER", "AT", "TEXT"), rows_of_stops, "")
        click.echo()


def _time_of(stop: Stop) -> float | None:
    return stop.message.created_at if stop.has_time else None


def _counted(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{counts[each]} {each}" for each in Outcome if counts[each])


def tell(plan: Plan, done: Done | None, path: Path | None, *, dry_run: bool) -> None:
    """Print what was done; ``path`` is the file of the rows that were not taken."""
    if done is None:
        click.echo("This was a dry run: nothing was written." if dry_run else "Nothing was done.")
        return
    if plan.is_empty:
        click.echo("Everything is there already.")
    elif not (done.numbers or done.extensions or done.contacts or done.messages or done.opt_outs):
        click.echo("Everything but files is there already.")
    else:
        click.echo(
            f"Done: {done.numbers} numbers, {done.extensions} names of extensions, {done.contacts} "
            f"contacts, {done.messages:,} messages, {done.opt_outs} opt-outs."
        )
    if done.files:
        click.echo(f"Files fetched for messages that were there already: {done.files:,}")
    if done.files_missing:
        note(_missing_files(done))
    if path is not None:
        count = len(plan.numbers.left_out)
        again = flask_command(f"migrate csv --numbers {shlex.quote(str(path))}")
        theirs = dict.fromkeys(
            line.row.cells.get("carrier", "").strip()
            for line in plan.numbers.left_out
            if line.outcome is Outcome.LATER
        )
        named = "".join(f" --carrier {shlex.quote(f'{name}=OURS')}" for name in theirs)
        ours = f" (in place of OURS one of {', '.join(NAMES.values())})" if named else ""
        click.echo(escaped(f"{count} rows were not taken. They are in {path}."))
        click.echo(escaped(f"Later{ours}: {again}{named}"))
    if any(line.outcome is Outcome.KEPT for line in plan.numbers.lines):
        note("Entries that differ were kept. To overwrite them: the same command with --replace")


def _missing_files(done: Done) -> str:
    why = (
        "The other system's web server did not hand over five in a row, so that the rest was not "
        "tried. Check its address (--media-from), and whether it lets this machine in."
        if done.gave_up
        else "Each says why in its place."
    )
    return (
        f"Files that could not be fetched: {done.files_missing:,}. {why} The same command again "
        "tries them again."
    )


def as_object(
    plan: Plan, done: Done | None, path: Path | None, proofs: Sequence[Proof] | None
) -> dict[str, Any]:
    """The plan and what was done as an object for JSON; ``proofs`` are the texts of --proof."""
    survey = plan.survey
    return {
        "done": asdict(done) if done is not None else None,
        "numbers": [
            {
                "where": line.row.place,
                "number": line.number,
                "outcome": str(line.outcome),
                "remarks": list(line.remarks),
            }
            for line in plan.numbers.lines
        ],
        "extensions": plan.names,
        "contacts": [
            {
                "line": one.line,
                "number": one.number,
                "name": one.contact.name if one.contact is not None else None,
                "outcome": one.outcome,
                "reason": one.reason or None,
            }
            for one in plan.contacts.lines
        ],
        "messages": {
            "total": survey.total,
            "new": survey.new,
            "known": survey.known,
            "files_to_fetch": survey.files,
            "by_number": dict(survey.by_number),
            "left_out": dict(survey.left_out),
            "remarks": dict(survey.remarks),
        },
        "opt_outs": [
            {
                "peer": one.message.peer,
                "number": one.message.number,
                "at": stamp(_time_of(one)),
                "text": one.word,
            }
            for one in survey.stops
        ],
        "remarks": plan.remarks,
        "left_out_file": str(path) if path is not None else None,
        "proofs": None
        if proofs is None
        else [
            {
                "number": one.number,
                "message_id": one.message_id or None,
                "refused": one.refused or None,
            }
            for one in proofs
        ],
    }

"""``flask migrate``: takes numbers, names, contacts and history over from another system."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import (
    Group,
    document,
    escaped,
    json_option,
    moment,
    note,
    short,
    stamp,
    table,
)
from services.config.parsers import url as web_address
from services.core.commands import flask_command
from services.core.phone_numbers import e164, requested
from services.operations.message_query import WHEN
from services.operations.migration import fspbx as fspbx_source
from services.operations.migration.csv_files import CsvFiles
from services.operations.migration.freepbx import EXAMPLE as FREEPBX_EXAMPLE
from services.operations.migration.freepbx import FreePbx
from services.operations.migration.migration import Done, Plan, Wishes, write_left_out
from services.operations.migration.numbers import NumberLine, Outcome
from services.operations.migration.source import Source
from services.providers import NAMES

URL_VARIABLE = "MIGRATE_URL"
AGAIN = "Run the same command again: it goes on from there, and takes nothing twice."
SHOWN = 50  # contacts that are listed
group = Group("migrate", help="Take everything over from FS PBX, FreePBX or CSV files.")
a_file = click.Path(exists=True, dir_okay=False, path_type=Path)

Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class _Given:
    """The options that all systems share."""

    numbers: Path | None
    contacts: Path | None
    messages: Path | None
    dry_run: bool
    yes: bool
    replace: bool
    carriers: tuple[str, ...]
    no_history: bool
    since: str
    left_out: Path | None
    proof: str | None
    as_json: bool


def _options(command: Command) -> Command:
    """The options that all systems share."""
    for option in reversed(
        (
            click.option("--numbers", type=a_file, help="CSV file of the numbers."),
            click.option("--contacts", type=a_file, help="CSV file of the contacts."),
            click.option("--messages", type=a_file, help="CSV file of the message history."),
            click.option("--dry-run", is_flag=True, help="Show what would be done, and end."),
            click.option("--yes", is_flag=True, help="Do not ask, for scripts."),
            click.option(
                "--replace",
                is_flag=True,
                help="Overwrite entries, names and contacts that are there already.",
            ),
            click.option(
                "--carrier",
                "carriers",
                multiple=True,
                metavar="THEIRS=OURS",
                help="Our carrier for one of theirs, such as thinq=bandwidth; "
                "=bandwidth: for rows without one. Repeatable.",
            ),
            click.option("--no-history", is_flag=True, help="Leave the messages where they are."),
            click.option("--since", default="", help="Only messages from then on: 2026-01-31."),
            click.option(
                "--left-out",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Where the rows are written that are not taken; else into STORAGE_PATH.",
            ),
            click.option(
                "--proof",
                metavar="NUMBER",
                help="At the end send a text to this phone of yours through each number.",
            ),
            json_option,
        )
    ):
        command = option(command)
    return command


def _url_option(command: Command) -> Command:
    return click.option(
        "--url",
        envvar=URL_VARIABLE,
        show_envvar=True,
        help="Address of its database, if it has no password in it. Else set the variable, or "
        "leave it out to be asked.",
    )(command)


def _web_address(_: click.Context, __: click.Parameter, written: str | None) -> str | None:
    try:
        return web_address(written) if written else None
    except ValueError as error:
        raise click.BadParameter(f"“{written}” cannot be used: {error}") from None


@group.command()
@_url_option
@click.option("--domain", default="", help="The domain (tenant), if there are several.")
@click.option(
    "--media-from",
    metavar="URL",
    callback=_web_address,
    help="Address of FS PBX's web server, to fetch the files of messages from.",
)
@_options
def fspbx(url: str | None, domain: str, media_from: str | None, **given: Any) -> None:
    """Take over from FS PBX: from its PostgreSQL database, or from CSV files.

    Shows line by line what becomes of each row, what is left out and why, and asks before it writes
    anything. Nothing in FS PBX is changed. It may be repeated: it takes nothing twice.
    """

    def connect() -> Source:
        address = _address(url, fspbx_source.EXAMPLE)
        return fspbx_source.FsPbx(address, domain, media_from or "")

    _migrate(connect, "fspbx", "FS PBX", **given)


@group.command()
@_url_option
@_options
def freepbx(url: str | None, **given: Any) -> None:
    """Take over from FreePBX: SMS Connector's tables in MariaDB, or CSV files of them.

    Shows line by line what becomes of each row, what is left out and why, and asks before it writes
    anything. Nothing in FreePBX is changed. It may be repeated: it takes nothing twice.
    """
    _migrate(lambda: FreePbx(_address(url, FREEPBX_EXAMPLE)), "freepbx", "FreePBX", **given)


@group.command("csv")
@_options
def csv_files(**given: Any) -> None:
    """Take over from CSV files, made by hand or by another system.

    Shows line by line what becomes of each row, what is left out and why, and asks before it writes
    anything. It may be repeated: it takes nothing twice.
    """

    def none_given() -> Source:
        raise click.UsageError("Give at least one of --numbers, --contacts and --messages.")

    _migrate(none_given, "csv", "the CSV files", **given)


def _migrate(connect: Callable[[], Source], name: str, title: str, **options: Any) -> None:
    given = _Given(**options)
    if given.as_json and not (given.yes or given.dry_run):
        raise click.UsageError("With --json add --dry-run or --yes: it asks nothing.")
    proof_to = requested(e164, given.proof, parts().country, "proof") if given.proof else ""
    wishes = Wishes(
        given.replace, _carriers(given.carriers), not given.no_history, _moment(given.since)
    )
    with closing(_source(connect, name, title, given)) as source:
        with progress_shown(rest="Nothing was written.", as_json=given.as_json) as progress:
            plan = parts().migration.plan(source, wishes, progress)
        if not given.as_json:
            _show(plan)
        source.pause()
        done = None
        if not given.dry_run and (given.yes or plan.is_empty or click.confirm("Do it?")):
            with progress_shown(rest=AGAIN, as_json=given.as_json) as progress:
                done = parts().migration.carry_out(source, plan, progress)
    path = _write_left_out(plan, given.left_out, name) if done is not None else None
    if given.as_json:
        document(_as_json(plan, done, path))
    else:
        _tell(plan, done, path, dry_run=given.dry_run)
    if proof_to and done is not None:
        _prove(plan, proof_to, yes=given.yes, as_json=given.as_json)


def _source(connect: Callable[[], Source], name: str, title: str, given: _Given) -> Source:
    files = {"numbers": given.numbers, "contacts": given.contacts, "texts": given.messages}
    if not any(files.values()):
        return connect()
    return CsvFiles(parts().local_time, **files, name=name, title=title)


def _address(url: str | None, example: str) -> str:
    """The address of a database, asked for where it is not given.

    Other users of the machine can read a command line, so a password is refused there.
    """
    if url is None:
        asked: Any = click.prompt(f"Address of the database ({example})", hide_input=True, err=True)
        return str(asked)
    context = click.get_current_context()
    if context.get_parameter_source("url") is ParameterSource.COMMANDLINE and _has_password(url):
        raise click.UsageError(
            "Every user of this machine can read a password in a command line, and it stays in the "
            f"shell's history. Leave --url out to be asked for the address, or set {URL_VARIABLE}."
        )
    return url


def _has_password(url: str) -> bool:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "@" in url
    return parsed.password is not None or "password" in parsed.query or url.count("@") > 1


def _carriers(written: Iterable[str]) -> dict[str, str]:
    found = {}
    for one in written:
        theirs, sign, ours = one.rpartition("=")
        if not sign or ours not in NAMES:
            names = ", ".join(dict.fromkeys(NAMES.values()))
            raise click.BadParameter(
                f"“{one}”: write THEIRS=OURS, with one of {names}.", param_hint="--carrier"
            )
        found[theirs] = NAMES[ours]
    return found


def _moment(written: str) -> float:
    try:
        return parts().local_time.read(written).timestamp() if written else 0.0
    except ValueError:
        raise click.BadParameter(WHEN, param_hint="--since") from None


def _show(plan: Plan) -> None:
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
    table(("WHERE", "NUMBER", "BECOMES", "WHAT"), rows, "There are no numbers.")
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
    noted = [one for one in lines if one.outcome not in (Outcome.ADDED, Outcome.UNCHANGED)]
    rows = [
        (one.row.place, escaped(one.number), one.outcome, short(f"{one.name}: {one.remark}"))
        for one in noted[:SHOWN]
    ]
    if rows:
        table(("WHERE", "CONTACT", "BECOMES", "WHAT"), rows, "")
    if len(noted) > SHOWN:
        click.echo(f"… and {len(noted) - SHOWN} more like these.")
    click.echo(f"Contacts: {_counted(one.outcome for one in lines)}\n")


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
        for reason, count in survey.left_out.most_common():
            examples = ", ".join(survey.examples[reason])
            click.echo(f"  {count:,} left out: {reason} ({escaped(examples)})")
        for remark, count in survey.remarks.most_common():
            click.echo(f"  {count:,} of them: {remark}")
        click.echo()
    if survey.stops:
        rows_of_stops = [
            (one.message.peer, one.message.number, moment(one.message.created_at), one.word)
            for one in survey.stops
        ]
        table(("OPT-OUT OF", "FROM NUMBER", "AT", "TEXT"), rows_of_stops, "")
        click.echo()


def _counted(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{counts[each]} {each}" for each in Outcome if counts[each])


def _tell(plan: Plan, done: Done | None, path: Path | None, *, dry_run: bool) -> None:
    if done is None:
        click.echo("This was a dry run: nothing was written." if dry_run else "Nothing was done.")
        return
    if plan.is_empty:
        click.echo("Everything is there already.")
    else:
        click.echo(
            f"Done: {done.numbers} numbers, {done.names} names of extensions, {done.contacts} "
            f"contacts, {done.texts:,} messages, {done.opt_outs} opt-outs."
        )
    if path is not None:
        count = len(plan.numbers.left_out)
        again = flask_command(f"migrate csv --numbers {path}")
        click.echo(f"{count} rows were not taken. They are in {path}. Later: {again}")
    if any(line.outcome is Outcome.KEPT for line in plan.numbers.lines):
        note("Entries that differ were kept. To overwrite them: the same command with --replace")


def _write_left_out(plan: Plan, asked: Path | None, name: str) -> Path | None:
    if not plan.numbers.left_out:
        return None
    storage = parts().environment.service.storage_path.resolve()
    path = asked or storage / f"left-out-of-{name}.csv"
    write_left_out(plan.numbers, path)
    return path


def _prove(plan: Plan, to: str, *, yes: bool, as_json: bool) -> None:
    proofs = parts().migration.proofs
    entries = proofs.waiting(plan.numbers.entries, to)
    if not entries:
        note("Through each of these numbers a proof was sent already, or none of them is enabled.")
        return
    question = f"Send {len(entries)} texts to {to}, one through each number?"
    if not yes and not click.confirm(question, err=True):
        return
    sent, refused = 0, []
    for proof in proofs.send(entries, to):
        sent += not proof.refused
        if proof.refused:
            refused.append((proof.number, proof.refused))
    if as_json:
        return
    if refused:
        table(("NUMBER", "NOT SENT BECAUSE"), refused, "")
    see = flask_command(f"messages list --peer {to}")
    click.echo(f"{sent} proof texts are queued. See: {see}")
    if sent + len(refused) < len(entries):
        note("The rest was not tried. Run the same command again later for them.")


def _as_json(plan: Plan, done: Done | None, path: Path | None) -> dict[str, Any]:
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
                "where": one.row.place,
                "number": one.number,
                "name": one.name,
                "outcome": str(one.outcome),
                "remark": one.remark,
            }
            for one in plan.contacts.lines
        ],
        "messages": {
            "total": survey.total,
            "new": survey.new,
            "known": survey.known,
            "by_number": dict(survey.by_number),
            "left_out": dict(survey.left_out),
            "remarks": dict(survey.remarks),
        },
        "opt_outs": [
            {
                "peer": one.message.peer,
                "number": one.message.number,
                "at": stamp(one.message.created_at),
                "text": one.word,
            }
            for one in survey.stops
        ],
        "remarks": plan.remarks,
        "left_out_file": str(path) if path is not None else None,
    }

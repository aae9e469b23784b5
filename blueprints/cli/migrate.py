"""``flask migrate``: takes numbers, names, contacts and history over from another system."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from getpass import GetPassWarning
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from blueprints.cli.migrate_report import as_object, show, tell
from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import (
    Group,
    document,
    json_option,
    note,
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
from services.operations.migration.migration import Plan, Wishes, write_left_out
from services.operations.migration.proof import Proof
from services.operations.migration.source import Source
from services.providers import NAMES

URL_VARIABLE = "MIGRATE_URL"
AGAIN = "Run the same command again: it goes on from there, and takes nothing twice."
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
            click.option(
                "--no-history", is_flag=True, help="Take no messages; only record their STOPs."
            ),
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
    _require_own_file(given)
    proof_to = requested(e164, given.proof, parts().country, "proof") if given.proof else ""
    wishes = Wishes(
        given.replace, _carriers(given.carriers), not given.no_history, _moment(given.since)
    )
    with closing(_source(connect, name, title, given)) as source:
        with progress_shown(rest="Nothing was written.", as_json=given.as_json) as progress:
            plan = parts().migration.plan(source, wishes, progress)
        if not given.as_json:
            show(plan)
        source.pause()
        done = None
        if not given.dry_run and (given.yes or plan.is_empty or click.confirm("Do it?")):
            with progress_shown(rest=AGAIN, as_json=given.as_json) as progress:
                done = parts().migration.carry_out(source, plan, progress)
    path = _write_left_out(plan, given.left_out, name) if done is not None else None
    if not given.as_json:
        tell(plan, done, path, dry_run=given.dry_run)
    proofs = _prove(plan, proof_to, given) if proof_to and done is not None else None
    if given.as_json:
        document(as_object(plan, done, path, proofs))


def _require_own_file(given: _Given) -> None:
    """Refuse a file of the other system as the one that is written."""
    inputs = [path.resolve() for path in (given.numbers, given.contacts, given.messages) if path]
    if given.left_out is not None and given.left_out.resolve() in inputs:
        raise click.BadParameter(
            "this file is read, and would be overwritten. Name another.", param_hint="--left-out"
        )


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
        return _typed_address(example)
    context = click.get_current_context()
    if context.get_parameter_source("url") is ParameterSource.COMMANDLINE and _has_password(url):
        raise click.UsageError(
            "Every user of this machine can read a password in a command line, and it stays in the "
            f"shell's history. Leave --url out to be asked for the address, or set {URL_VARIABLE}."
        )
    return url


def _typed_address(example: str) -> str:
    question = f"Address of the database ({example})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # it would show what is typed
            asked: Any = click.prompt(question, hide_input=True, err=True)
    except GetPassWarning:
        raise click.UsageError(
            "There is no terminal in which the address of the database could be asked for. Set the "
            f"variable {URL_VARIABLE}, see docs/migrate.md."
        ) from None
    return str(asked)


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


def _write_left_out(plan: Plan, asked: Path | None, name: str) -> Path | None:
    if not plan.numbers.left_out:
        return None
    storage = parts().environment.service.storage_path.resolve()
    path = asked or storage / f"left-out-of-{name}.csv"
    write_left_out(plan, path)
    return path


def _prove(plan: Plan, to: str, given: _Given) -> list[Proof]:
    """Send the proof texts, and print what became of them."""
    proofs = parts().migration.proofs
    entries = proofs.waiting(plan.numbers.entries, to)
    if not entries:
        note("Through each of these numbers a proof was sent already, or none of them is enabled.")
        return []
    question = f"Send {len(entries)} texts to {to}, one through each number?"
    if not given.yes and not click.confirm(question, err=True):
        return []
    tried = list(proofs.send(entries, to))
    if not given.as_json:
        refused = [(one.number, one.refused) for one in tried if one.refused]
        if refused:
            table(("NUMBER", "NOT SENT BECAUSE"), refused, "", wrap=True)
        see = flask_command(f"messages list --peer {to}")
        click.echo(f"{len(tried) - len(refused)} proof texts are queued. See: {see}")
    if len(tried) < len(entries):
        note("The rest was not tried. Run the same command again later for them.")
    return tried

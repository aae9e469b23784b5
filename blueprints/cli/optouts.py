"""``flask optouts`` and ``flask blocked``: who wants no more texts, and whose are kept apart."""

import csv
import sys
from pathlib import Path

import click

from blueprints.cli.parts import parts
from blueprints.cli.private_file import close_to_others
from blueprints.cli.terminal import (
    Group,
    brief_moment,
    document,
    escaped,
    json_option,
    moment,
    name_time_zone,
    note,
    stamp,
    table,
)
from services.core.commands import flask_command
from services.core.phone_numbers import EVERY
from services.operations.opt_out_register import LIFT_NOTE, OptOutRegister
from services.store import blocked_senders
from services.store.opt_outs import OptOut

MOST = 1000
group = Group("optouts", help="Opt-outs: who wants no more texts.")
blocked = Group("blocked", help="Blocked senders, whose texts are kept apart.")
number_option = click.option(
    "--number", default="", help="The number of yours that it concerns; without it, all of them."
)


def register() -> OptOutRegister:
    """The register of this installation."""
    return parts().opt_out_register


def _ours(number: str) -> str:
    return "all" if number == EVERY else number


@group.command("list")
@click.option("--person", default="", help="Only those of this person's number.")
@click.option("--all", "with_lifted", is_flag=True, help="Also those that were taken back.")
@json_option
def show(person: str, with_lifted: bool, as_json: bool) -> None:
    """List opt-outs, the newest first (at most 1000; `export` has all)."""
    found = register().page(limit=MOST, peer=person, with_lifted=with_lifted)
    if as_json:
        document([_object(one) for one in found])
        return
    table(
        ("PERSON", "FROM NUMBER", "SINCE", "SOURCE", "DETAIL", "TAKEN BACK"),
        [
            (
                "(forgotten)" if one.is_forgotten else one.peer,
                _ours(one.number),
                brief_moment(one.at),
                one.source,
                one.detail,
                brief_moment(one.lifted_at),
            )
            for one in found
        ],
        "Nobody has opted out.",
    )
    if found:
        name_time_zone()


def _object(one: OptOut) -> dict[str, object]:
    return {
        "peer": one.peer,
        "number": one.number,
        "at": stamp(one.at),
        "source": str(one.source),
        "detail": one.detail,
        "message_id": one.message_id,
        "lifted_at": stamp(one.lifted_at),
        "lifted_by": one.lifted_by,
        "lift_reason": one.lift_reason,
    }


@group.command()
@click.argument("person")
@number_option
@click.option("--reason", required=True, help="How they said so; it is kept.")
def add(person: str, number: str, reason: str) -> None:
    """Record that PERSON (a phone number) wants no more texts."""
    new = register().add(person, number, reason)
    click.echo("Recorded." if new else "They have opted out already.")


@group.command()
@click.argument("person")
@number_option
@click.option("--reason", required=True, help="Why texts to them are allowed again; it is kept.")
def remove(person: str, number: str, reason: str) -> None:
    """Take back the opt-outs of PERSON, who has agreed to texts again."""
    count = register().remove(person, number, reason)
    click.echo(f"{count} taken back.")
    note(LIFT_NOTE)


@group.command()
@click.argument("target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
def export(target: Path) -> None:
    """Write all opt-outs with their proofs into a CSV file (“-”: standard output)."""
    if str(target) == "-":
        csv.writer(sys.stdout).writerows(register().export())
        return
    with target.open("w", encoding="utf-8", newline="") as file:
        close_to_others(file)
        csv.writer(file).writerows(register().export())


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_file(file: Path) -> None:
    """Record the opt-outs of a CSV file, all of them or, if a line is wrong, none.

    Its first line names the columns; “peer” is needed, “number” (of yours; empty: all), “at” and
    “detail” are read.
    """
    new, known = register().import_csv(file.read_bytes())
    click.echo(f"{new} were recorded; {known} were known.")


@group.command()
@click.option("--apply", "record", is_flag=True, help="Record what is found.")
@json_option
def scan(record: bool, as_json: bool) -> None:
    """Find STOP in the texts that were received before this version.

    Only shows what it finds, unless `--apply` is given. A later START counts.
    """
    found = register().scan(dry_run=not record)
    if as_json:
        document([_object(one) for one in found])
        return
    table(
        ("PERSON", "FROM NUMBER", "AT", "TEXT"),
        [(one.peer, _ours(one.number), moment(one.at), one.detail) for one in found],
        "Nothing was found.",
    )
    if found and not record:
        note(f"Nothing was recorded. To record it: {flask_command('optouts scan --apply')}")


@blocked.command("list")
@json_option
def show_blocked(as_json: bool) -> None:
    """List blocked senders, the newest first."""
    found = parts().store.read(blocked_senders.every)
    if as_json:
        document(
            [
                {"sender": b.peer, "number": b.number, "at": stamp(b.at), "by": b.blocked_by}
                for b in found
            ]
        )
        return
    table(
        ("SENDER", "FOR NUMBER", "SINCE", "BY"),
        [(b.peer, _ours(b.number), moment(b.at), b.blocked_by) for b in found],
        "Nobody is blocked.",
    )


@blocked.command("add")
@click.argument("sender")
@number_option
def block(sender: str, number: str) -> None:
    """Keep the texts of SENDER apart; nobody is notified of them."""
    new = register().block(sender, number)
    click.echo(f"{escaped(sender)} is blocked." if new else "They are blocked already.")


@blocked.command("remove")
@click.argument("sender")
@number_option
def unblock(sender: str, number: str) -> None:
    """End the block of SENDER; what came meanwhile is in the lists again."""
    register().unblock(sender, number)
    click.echo(f"{escaped(sender)} is no longer blocked.")

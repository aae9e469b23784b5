"""``flask contacts``: names of numbers, shared by all apps of the installation."""

import csv
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from io import StringIO
from pathlib import Path

import click
from sqlalchemy import Connection

from blueprints.cli.parts import parts
from blueprints.cli.terminal import Group, document, escaped, json_option, table
from services.core.commands import flask_command
from services.core.errors import RequestRefused
from services.core.messages import clean
from services.core.phone_numbers import peer, requested
from services.message_settings.csv_format import decode_csv
from services.store import contacts
from services.store.contacts import Contact

LONGEST = 100
group = Group("contacts", help="The names of numbers, which all apps share.")


@group.command("list")
@json_option
def show(as_json: bool) -> None:
    """List the contacts."""
    known = parts().store.read(contacts.all_contacts)
    if as_json:
        document([asdict(contact) for contact in known])
        return
    table(
        ("NUMBER", "NAME"),
        [(contact.number, contact.name) for contact in known],
        "No contact. Add one: " + flask_command('contacts set +13035550177 "Ann Example"'),
    )


@group.command("set")
@click.argument("number")
@click.argument("name")
def put(number: str, name: str) -> None:
    """Give NUMBER a name, or another one."""
    contact = _contact(number, name)
    parts().store.write(partial(contacts.put, contact=contact))
    click.echo(f"{contact.number} is {escaped(contact.name)}.")


@group.command()
@click.argument("number")
def remove(number: str) -> None:
    """Forget the name of NUMBER."""
    address = _address(number)
    if not parts().store.write(partial(contacts.remove, number=address)):
        raise RequestRefused(
            "not_found", f"{address} has no name. See: {flask_command('contacts list')}", status=404
        )
    click.echo("The contact was removed.")


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_contacts(file: Path) -> None:
    """Add the contacts of a CSV file, all of them or, if a line is wrong, none.

    Its first line names the columns; “number” and “name” are read. Numbers that have a name get the
    one of the file.
    """
    found = list(_read(file))

    def work(tx: Connection) -> None:
        for contact in found:
            contacts.put(tx, contact)

    parts().store.write(work)
    click.echo(f"{len(found)} contacts were read.")


def _read(file: Path) -> Iterator[Contact]:
    """The contacts of a CSV file. Raises ``RequestRefused`` with the line that is wrong."""
    rows = csv.DictReader(StringIO(decode_csv(file.read_bytes()), newline=""))
    try:
        rows.fieldnames = [title.strip().lower() for title in rows.fieldnames or ()]
        if not {"number", "name"} <= set(rows.fieldnames):
            raise RequestRefused(
                "invalid", "The first line must name the columns, with “number” and “name”."
            )
        for row in rows:
            try:
                yield _contact(row["number"] or "", row["name"] or "")
            except RequestRefused as error:
                raise RequestRefused("invalid", f"Line {rows.line_num}: {error}") from None
    except csv.Error as error:
        raise RequestRefused("invalid", f"Line {rows.line_num}: {error}.") from None


def _contact(number: str, name: str) -> Contact:
    name = clean(name).strip()
    if not 1 <= len(name) <= LONGEST:
        raise RequestRefused("invalid", f"A name has 1 to {LONGEST} characters.", field="name")
    return Contact(_address(number), name)


def _address(written: str) -> str:
    return requested(peer, written, parts().country, "number")

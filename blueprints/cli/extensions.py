"""``flask extensions``: the extensions that are known, and the names of their people."""

from difflib import get_close_matches

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import (
    Group,
    brief_moment,
    document,
    escaped,
    json_option,
    name_time_zone,
    note,
    stamp,
    table,
)
from services.core.commands import flask_command
from services.core.phone_numbers import international
from services.message_settings.extension_edits import name_extension

group = Group("extensions", help="Extensions: their names, numbers, groups and devices.")


def numbered(extension: str) -> str:
    """An extension and its name, for a table whose cells may be cut at their end."""
    return f"{extension} {parts().settings.names.get(extension, '')}".rstrip()


def note_unknown(extension: str) -> None:
    """Say that nothing knows an extension yet, and which one like it was perhaps meant."""
    known = [one.extension for one in parts().directory.find()]
    if extension in known:
        return
    like = get_close_matches(extension, known, n=1)
    note(
        f"Nothing names extension {extension} yet: no number, no rule and no device."
        + (f" Did you mean {like[0]}?" if like else "")
    )


@group.command("list")
@click.option("--search", default="", help="Only those with these words or digits anywhere.")
@json_option
def show(search: str, as_json: bool) -> None:
    """List the extensions that Message Settings or devices have, with the names of their people."""
    found = parts().directory.find(search)
    problem = parts().settings.problem
    if problem is not None:
        note(f"{problem} These are the last good settings.")
    if as_json:
        document(
            [
                {
                    "extension": one.extension,
                    "name": one.name or None,
                    "numbers": list(one.numbers),
                    "groups": list(one.groups),
                    "devices": one.devices,
                    "seen_at": stamp(one.seen_at),
                }
                for one in found
            ]
        )
        return
    table(
        ("EXTENSION", "NAME", "NUMBERS", "GROUPS", "DEVICES", "LAST SEEN"),
        [
            (
                one.extension,
                one.name or "-",
                ", ".join(map(international, one.numbers)) or "-",
                ", ".join(one.groups) or "-",
                one.devices,
                brief_moment(one.seen_at),
            )
            for one in found
        ],
        "No such extension."
        if search
        else "No extension yet. Give a number one: "
        + flask_command("settings set +12025550143 --carrier NAME --extension 201"),
    )
    if found:
        name_time_zone()


@group.command("name")
@click.argument("extension")
@click.argument("name")
def name(extension: str, name: str) -> None:
    """Give EXTENSION the NAME of its person; '' takes the name away.

    Apps, pages, mails, lists and exports show it in place of “Extension 201”.
    """
    settings = parts().settings
    note_unknown(extension)
    kept = name_extension(settings, extension, name, settings.generation)
    click.echo(f"{extension} is {escaped(kept)}." if kept else f"{extension} has no name now.")

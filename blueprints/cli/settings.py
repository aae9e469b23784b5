"""``flask settings``: lists, adds, changes and removes entries of Message Settings."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.settings_files import export, import_holidays, import_settings
from blueprints.cli.settings_schema import json_schema
from blueprints.cli.terminal import Group, document, facts, json_option, note, table
from services.core.commands import flask_command
from services.core.errors import NumberError, SettingsError
from services.core.phone_numbers import e164
from services.message_settings import NumberSetting
from services.message_settings.document import PLAIN, WITH_RULES, entry_object
from services.message_settings.edits import Edit, edit_all, remove_all
from services.message_settings.fields import FIELDS, Field, FieldType
from services.message_settings.form_values import as_texts
from services.operations.settings_source import left_file

group = Group("settings", help="Message Settings: who gets the messages of which number.")


NONE_YET = "No number yet. Add one: " + flask_command(
    "settings set +12025550143 --carrier NAME --extension 201"
)

# texts of any length are in the last column
TABLE_FIELDS = sorted(FIELDS, key=lambda field: field.kind is FieldType.TEXT)
Option = Callable[[Callable[..., None]], Callable[..., None]]

group.add_command(export)
group.add_command(import_settings)
group.add_command(import_holidays)


@group.command("list")
@click.option("--search", default="", help="Only those with these words or digits anywhere.")
@json_option
def show(search: str, as_json: bool) -> None:
    """List the numbers with their carriers, extensions and e-mail addresses."""
    entries = parts().settings.find(search)
    problem = parts().settings.problem
    if problem is not None:
        note(f"{problem} These are the last good settings.")
    note_left_file()
    if as_json:
        version = WITH_RULES if any(entry.aliases for entry in entries) else PLAIN
        document({"version": version, "numbers": [entry_object(entry) for entry in entries]})
        return
    table(
        [field.short_label.upper() for field in TABLE_FIELDS],
        [_cells(entry) for entry in entries],
        "No such number." if search else NONE_YET,
    )


def _cells(entry: NumberSetting) -> list[str]:
    texts = as_texts(entry)
    return [
        texts[field.name] or ("" if field.kind is FieldType.TEXT else "-") for field in TABLE_FIELDS
    ]


def _options_of(field: Field) -> list[Option]:
    """The options of ``flask settings set`` that change a field."""
    if not field.option:
        return []
    if field.kind is FieldType.LIST:
        return [
            click.option(field.option, field.name, multiple=True, help=field.option_help),
            click.option(f"--no-{field.name}", is_flag=True, help=f"Remove all {field.plural}."),
        ]
    return [click.option(field.option, field.name, default=None, help=field.option_help)]


def _field_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all fields to a command, which gets them as keyword arguments."""
    for option in reversed([option for field in FIELDS for option in _options_of(field)]):
        command = option(command)
    return command


@group.command("set")
@click.argument("number")
@_field_options
def put(number: str, **options: Any) -> None:
    """Add a number, or change what is given of one that is there.

    NUMBER may be written any usual way. The extensions (or e-mail addresses) that are given
    replace the ones before.
    """
    changes = _changes(options)
    seen = parts().settings.generation
    known = _known(number)
    if known is None and "carrier" not in changes:
        names = ", ".join(parts().providers) or "bandwidth"
        raise click.UsageError(
            f"This number is new: say which carrier it belongs to with --carrier ({names})."
        )
    entry = (asdict(known) if known else {"number": number}) | changes
    _print_entry(parts().settings.put(entry, seen))


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    """The values of the fields that are given. Raises ``click.UsageError`` for a contradiction."""
    changes: dict[str, Any] = {}
    for field in FIELDS:
        value = options.get(field.name)
        if field.kind is FieldType.LIST:
            items = [item for item in value or () if item]
            is_emptied = options[f"no_{field.name}"]
            if is_emptied and items:
                raise click.UsageError("Either give values or remove them all, not both.")
            value = items if value or is_emptied else None
        if value is not None:
            changes[field.name] = value or None if field.kind is FieldType.OPTIONAL else value
    return changes


@group.command("change")
@click.argument("numbers", nargs=-1, required=True)
@click.option("--carrier", help="Name of their carrier from now on, such as bandwidth.")
@click.option("--add-extension", multiple=True, help="One more extension; once for each.")
@click.option("--remove-extension", multiple=True, help="Without this extension; once for each.")
@click.option("--enable/--disable", "enabled", default=None, help="Switch the numbers on or off.")
@json_option
def change(
    numbers: tuple[str, ...],
    carrier: str | None,
    add_extension: tuple[str, ...],
    remove_extension: tuple[str, ...],
    enabled: bool | None,
    as_json: bool,
) -> None:
    """Make the same change to several numbers: to all of them at once, or to none."""
    edit = Edit(carrier, add_extension, remove_extension, enabled)
    if edit == Edit():
        raise click.UsageError("Say what is to change, such as --disable.")
    settings = parts().settings
    edit_all(settings, numbers, edit)
    if as_json:
        chosen = [settings.for_number(settings.number(number)) for number in numbers]
        document({"numbers": [entry_object(entry) for entry in chosen if entry]})
    else:
        click.echo(
            "1 number was changed."
            if len(numbers) == 1
            else f"{len(numbers)} numbers were changed."
        )


@group.command()
@click.argument("numbers", nargs=-1, required=True)
def remove(numbers: tuple[str, ...]) -> None:
    """Remove numbers: all of them at once, or none.

    Their messages stay; new ones to them are kept as unassigned.
    """
    remove_all(parts().settings, numbers)
    click.echo(
        "The number was removed." if len(numbers) == 1 else f"{len(numbers)} numbers were removed."
    )


@group.command()
def schema() -> None:
    """Print the JSON Schema of message_settings.json, for editors and scripts."""
    document(json_schema())


def note_left_file() -> None:
    """Note that the file in the storage folder is not read, if the settings are in the database."""
    file = left_file(parts().store, parts().environment.service.storage_path.resolve())
    if file is not None:
        note(
            f"Message Settings are in the database; {file} is not read any more. To edit them by "
            f"hand: {flask_command('settings export')}, {flask_command('settings import')}."
        )


def _known(number: str) -> NumberSetting | None:
    """The entry of a number, if any. Raises ``SettingsError`` for a text that is no number."""
    try:
        return parts().settings.for_number(e164(number, parts().country))
    except NumberError as error:
        raise SettingsError(str(error), "number") from None


def _print_entry(entry: NumberSetting) -> None:
    texts = as_texts(entry)
    facts(
        (field.short_label, texts[field.name] or ("-" if field.kind is FieldType.LIST else ""))
        for field in FIELDS
    )
    if entry.carrier not in parts().providers:
        note(f"{entry.carrier} is not configured yet. See: {flask_command('config check')}")
    if not replace(entry, enabled=True).reaches_somebody:
        note("Nobody gets this number's messages yet: give it an --extension or an --email.")
    if entry.emails and parts().environment.mail.host is None:
        see = flask_command("config check")
        note(f"MAIL_HOST is not set, so no mail leaves yet. See: {see}")

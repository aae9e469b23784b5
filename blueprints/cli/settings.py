"""``flask settings``: which number belongs to which carrier, extensions and e-mail addresses."""

from dataclasses import asdict, replace

import click

from blueprints.cli.parts import parts
from blueprints.cli.settings_files import export, take
from blueprints.cli.settings_schema import json_schema
from blueprints.cli.terminal import Group, document, facts, json_option, note, table
from services.core.errors import NumberError, SettingsError
from services.core.phone_numbers import e164
from services.message_settings import NumberSetting
from services.message_settings.edits import Edit, edit_all, remove_all
from services.message_settings.search import found
from services.operations.settings_source import left_file

group = Group("settings", help="Message Settings: who gets the messages of which number.")


NONE_YET = "No number yet. Add one: flask settings set +12025550143 --carrier NAME --extension 201"

group.add_command(export)
group.add_command(take)


@group.command("list")
@click.option("--search", default="", help="Only those with these words or digits anywhere.")
@json_option
def show(search: str, as_json: bool) -> None:
    """List the numbers with their carriers, extensions and e-mail addresses."""
    entries = found(parts().settings.all(), search)
    problem = parts().settings.problem
    if problem is not None:
        note(f"{problem} These are the last good settings.")
    tell_of_left_file()
    if as_json:
        document({"version": 1, "numbers": [asdict(entry) for entry in entries]})
        return
    table(
        ("NUMBER", "CARRIER", "EXTENSIONS", "E-MAILS", "SENDER", "ENABLED", "DESCRIPTION"),
        [
            (
                entry.number,
                entry.carrier,
                ", ".join(entry.extensions) or "-",
                ", ".join(entry.emails) or "-",
                entry.sender_id or "-",
                "yes" if entry.enabled else "no",
                entry.description,
            )
            for entry in entries
        ],
        "No such number." if search else NONE_YET,
    )


@group.command("set")
@click.argument("number")
@click.option("--carrier", help="Name of the number's carrier, such as bandwidth.")
@click.option(
    "--extension",
    "extensions",
    multiple=True,
    help="Extension that gets the messages; give it once for each. '' removes all.",
)
@click.option("--no-extensions", is_flag=True, help="Remove all extensions.")
@click.option(
    "--email",
    "emails",
    multiple=True,
    help="E-mail address that gets a copy; give it once for each. '' removes all.",
)
@click.option("--no-emails", is_flag=True, help="Remove all e-mail addresses.")
@click.option("--sender-id", help="Sender shown instead of the number; '' for the number itself.")
@click.option("--description", help="What the number is for, such as “Front desk”.")
@click.option("--enable/--disable", "enabled", default=None, help="Use the number, or rest it.")
def put(
    number: str,
    carrier: str | None,
    extensions: tuple[str, ...],
    no_extensions: bool,
    emails: tuple[str, ...],
    no_emails: bool,
    sender_id: str | None,
    description: str | None,
    enabled: bool | None,
) -> None:
    """Add a number, or change what is given of one that is there.

    NUMBER may be written any usual way. The extensions (or e-mail addresses) that are given
    replace the ones before.
    """
    if (no_extensions and any(extensions)) or (no_emails and any(emails)):
        raise click.UsageError("Either give values or remove them all, not both.")
    seen = parts().settings.generation
    known = _known(number)
    changes = {
        "carrier": carrier,
        "extensions": [e for e in extensions if e] if extensions or no_extensions else None,
        "emails": [e for e in emails if e] if emails or no_emails else None,
        "sender_id": sender_id,
        "description": description,
        "enabled": enabled,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if known is None and carrier is None:
        names = ", ".join(parts().providers) or "bandwidth"
        raise click.UsageError(
            f"This number is new: say which carrier it belongs to with --carrier ({names})."
        )
    entry = {**(asdict(known) if known else {"number": number}), **given}
    entry["sender_id"] = entry.get("sender_id") or None
    _tell(parts().settings.put(entry, seen))


@group.command("change")
@click.argument("numbers", nargs=-1, required=True)
@click.option("--carrier", help="Name of their carrier from now on, such as bandwidth.")
@click.option("--add-extension", multiple=True, help="One more extension; once for each.")
@click.option("--remove-extension", multiple=True, help="Without this extension; once for each.")
@click.option("--enable/--disable", "enabled", default=None, help="Use the numbers, or rest them.")
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
        document({"numbers": [asdict(entry) for entry in chosen if entry]})
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

    Their messages stay; new ones to them are kept as unrouted.
    """
    remove_all(parts().settings, numbers)
    click.echo(
        "The number was removed." if len(numbers) == 1 else f"{len(numbers)} numbers were removed."
    )


@group.command()
def schema() -> None:
    """Print the JSON Schema of message_settings.json, for editors and scripts."""
    document(json_schema())


def tell_of_left_file() -> None:
    """Say that a file in the storage folder is not read, where the database has the settings."""
    file = left_file(parts().store, parts().environment.service.storage_path.resolve())
    if file is not None:
        note(
            f"Message Settings are in the database; {file} is not read any more. To edit them by "
            "hand: flask settings export, flask settings import."
        )


def _known(number: str) -> NumberSetting | None:
    """The entry of a number as it is. Raises ``SettingsError`` for what is no number."""
    try:
        return parts().settings.for_number(e164(number, parts().country))
    except NumberError as error:
        raise SettingsError(str(error), "number") from None


def _tell(entry: NumberSetting) -> None:
    facts(
        (
            ("Number", entry.number),
            ("Carrier", entry.carrier),
            ("Extensions", ", ".join(entry.extensions) or "-"),
            ("E-mails", ", ".join(entry.emails) or "-"),
            ("Sender", entry.sender_id),
            ("Description", entry.description),
            ("Enabled", "yes" if entry.enabled else "no"),
        )
    )
    if entry.carrier not in parts().providers:
        note(f"{entry.carrier} is not configured yet. See: flask config check")
    if not replace(entry, enabled=True).reaches_somebody:
        note("Nobody gets this number's messages yet: give it an --extension or an --email.")
    if entry.emails and parts().environment.mail.host is None:
        note("MAIL_HOST is not set, so no mail leaves yet. See: flask config check")

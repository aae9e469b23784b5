"""``flask devices``: the devices of each extension, their tokens, and pairing."""

import sys
from functools import partial
from typing import Any, get_args

import click
import segno
from sqlalchemy import Connection

from blueprints.cli.extensions import note_unknown, numbered
from blueprints.cli.parts import parts
from blueprints.cli.short_ids import whole_id
from blueprints.cli.terminal import (
    Group,
    brief_moment,
    document,
    escaped,
    facts,
    json_option,
    name_time_zone,
    note,
    stamp,
    table,
)
from services.core.commands import flask_command
from services.core.errors import RequestRefused
from services.core.messages import Device, Preview
from services.message_settings import EXTENSION
from services.push.acrobits import account as acrobits_account
from services.store import devices
from services.store.short_ids import short_id

LONGEST_NAME = 100
group = Group("devices", help="The apps of each extension: list, add, pair and revoke them.")


def _extension(_: click.Context, __: click.Parameter, written: str | None) -> str | None:
    if written is not None and not EXTENSION.fullmatch(written):
        raise click.BadParameter("An extension has up to 32 letters, digits or . _ * + -")
    return written


def _name(_: click.Context, __: click.Parameter, written: str) -> str:
    name = written.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise click.BadParameter(f"A name has 1 to {LONGEST_NAME} characters.")
    return name


extension_argument = click.argument("extension", callback=_extension)


@group.command("list")
@click.option("--extension", callback=_extension, help="Only those of this extension.")
@json_option
def show(extension: str | None, as_json: bool) -> None:
    """List the apps that may act for an extension."""
    wanted = None if extension is None else [extension]
    known = parts().store.read(lambda tx: devices.of(tx, wanted))
    if as_json:
        document([_described(device) for device in known])
        return
    table(
        ("ID", "EXTENSION", "NAME", "PLATFORM", "PUSH", "SEEN", "LAST PUSH", "LAST ERROR"),
        [
            (
                short_id(device.id),
                numbered(device.extension),
                device.name,
                device.platform or "-",
                device.channel,
                brief_moment(device.seen_at).split()[0],
                brief_moment(device.last_success_at),
                device.last_error or "-",
            )
            for device in known
        ],
        f"No device. Add one: {flask_command('devices add 201 --name app')}, or "
        f"{flask_command('devices pair 201')}",
    )
    if known:
        name_time_zone()


@group.command()
@extension_argument
@click.option(
    "--name", required=True, callback=_name, help="What to call it, such as “Reception tablet”."
)
@json_option
def add(extension: str, name: str, as_json: bool) -> None:
    """Make a token with which an app or a server acts for EXTENSION.

    The token is shown this once. A person who has it reads and sends the extension's messages.
    """
    note_unknown(extension)
    device, token = parts().store.write(lambda tx: devices.add(tx, extension, name))
    _warn_without_number(extension)
    if as_json:
        document(
            {"device_id": device.id, "token": token, "extension": extension, "name": device.name}
        )
        return
    facts(
        (("Device", device.id), ("Extension", extension), ("Name", device.name), ("Token", token))
    )
    click.echo("Copy the token now: it is shown this once.")


@group.command()
@extension_argument
@json_option
def pair(extension: str, as_json: bool) -> None:
    """Make a one-time code with which an app is paired with EXTENSION within ten minutes.

    It comes with a link that opens the phone app, and on a terminal with its QR code.
    """
    note_unknown(extension)
    code = parts().store.write(lambda tx: devices.add_pairing(tx, extension))
    # After the #: a browser sends that part to no server, so the code is in no log.
    link = f"{parts().environment.app_url}/phone/#code={code}"
    _warn_without_number(extension)
    if as_json:
        seconds = int(devices.PAIRING_SECONDS)
        content = {"code": code, "link": link, "extension": extension, "expires_in": seconds}
        document(content)
        return
    facts((("Code", code), ("Link", link), ("Extension", extension)))
    if sys.stdout.isatty():
        segno.make_qr(link).terminal(compact=True)
    click.echo("Open the link, or enter the code in the app. It works once, within ten minutes.")


@group.command()
@extension_argument
@click.option(
    "--name", required=True, callback=_name, help="What to call it, such as “Ann's phone”."
)
@click.option(
    "--preview",
    type=click.Choice(get_args(Preview)),
    default="full",
    show_default=True,
    help="How much of a text a notification shows.",
)
@click.option("--xml", "as_xml", is_flag=True, help="Print account XML, for a provisioning file.")
@json_option
def provision(extension: str, name: str, preview: Preview, as_xml: bool, as_json: bool) -> None:
    """Make the settings with which a Groundwire or Cloud Softphone app texts for EXTENSION.

    They are for one phone and hold its password, which is shown this once. See
    docs/apps/acrobits.md for where each of them belongs.
    """

    def add(tx: Connection) -> tuple[Device, str]:
        device, token = devices.add(tx, extension, name, platform="Acrobits")
        devices.set_preview(tx, device.id, preview)
        return device, token

    note_unknown(extension)
    device, token = parts().store.write(add)
    _warn_without_number(extension)
    if not parts().environment.app_url.startswith("https://"):
        note("APP_URL is no public https address, so the app cannot reach this service.")
    account = acrobits_account.account(parts().environment.app_url, extension, token)
    if as_json:
        document({"device_id": device.id, "extension": extension, "account": account})
    elif as_xml:
        click.echo(acrobits_account.xml(account))
    else:
        facts((("Device", device.id), ("Extension", extension), ("Name", device.name)))
        for field, value in account.items():
            click.echo(f"{field}\n  {value}")


@group.command()
@click.argument("device_id")
@json_option
def test(device_id: str, as_json: bool) -> None:
    """Push a test to DEVICE_ID now and tell what came of it. Exit code 1 if it was not taken."""
    device_id = whole_id("device", device_id)
    device = parts().store.read(lambda tx: devices.by_id(tx, device_id))
    if device is None:
        raise _unknown(device_id)
    outcome, detail = parts().push_delivery.test(device)
    if as_json:
        document({"outcome": outcome, "detail": detail})
    else:
        click.echo(escaped(detail))
    raise SystemExit(0 if outcome == "taken" else 1)


@group.command()
@click.argument("device_id")
def revoke(device_id: str) -> None:
    """Refuse the token of DEVICE_ID (see: flask devices list) from now on."""
    device_id = whole_id("device", device_id)
    if not parts().store.write(partial(devices.revoke, device_id=device_id)):
        raise _unknown(device_id)
    click.echo("The device was revoked.")


def _unknown(device_id: str) -> RequestRefused:
    sentence = f"There is no device {device_id}. See: {flask_command('devices list')}"
    return RequestRefused("not_found", sentence, status=404)


def _warn_without_number(extension: str) -> None:
    if not parts().access.numbers(extension):
        note(
            f"Extension {extension} has no number yet. Give it one: "
            f"{flask_command('settings set +12025550143 --carrier NAME --extension')} {extension}"
        )


def _described(device: Device) -> dict[str, Any]:
    return {
        "device_id": device.id,
        "extension": device.extension,
        "extension_name": parts().settings.names.get(device.extension) or None,
        "name": device.name,
        "platform": device.platform,
        "channel": device.channel,
        "created_at": stamp(device.created_at),
        "seen_at": stamp(device.seen_at),
        "last_success_at": stamp(device.last_success_at),
        "last_error": device.last_error,
    }

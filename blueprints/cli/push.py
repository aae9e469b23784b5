"""``flask push``: the push channels that are on, and the check of their credentials."""

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import Group, json_option, report_findings
from services.core.commands import flask_command
from services.core.messages import Device, Finding
from services.push.base import TwoWayChannel

group = Group("push", help="Push channels: whether they are set up well.")


@group.command()
@click.option("--send-to", metavar="EXTENSION", help="Also send a text to its SIP phones.")
@json_option
def check(send_to: str | None, as_json: bool) -> None:
    """Ask each push channel that can be asked whether the credentials work.

    Exit code 1 if anything must be fixed.
    """
    found = parts().credential_checks.channels()
    if send_to is not None:
        phones = [c for c in parts().channels.values() if isinstance(c, TwoWayChannel)]
        if not phones:
            raise click.UsageError(
                "No channel to SIP phones is on. Set SIP_SERVER, SIP_USERNAME and SIP_PASSWORD in "
                ".env."
            )
        for channel in phones:
            found.setdefault(channel.name, []).append(_sent(channel.name, send_to))
    if not found and not as_json:
        click.echo(f"No push channel that can be asked is on. See: {flask_command('config check')}")
    titles = {name: channel.title for name, channel in parts().channels.items()}
    report_findings(found, titles, as_json=as_json)


def _sent(channel: str, extension: str) -> Finding:
    device = Device(f"{channel}:{extension}", extension, channel)
    word, sentence = parts().push_delivery.test(device)
    return Finding(word == "taken", sentence)

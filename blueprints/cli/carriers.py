"""``flask carriers``: which carriers are on, their checks, and paused destinations with reasons."""

import time

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import (
    Group,
    document,
    json_option,
    moment,
    report_findings,
    stamp,
    table,
)
from services.providers import PROVIDERS
from services.store import circuit_breakers

group = Group("carriers", help="Carriers: which are on, and which are paused and why.")


@group.command()
@json_option
def check(as_json: bool) -> None:
    """Ask each carrier whether the credentials work and the numbers can text.

    Exit code 1 if anything must be fixed.
    """
    found = parts().credential_checks.carriers()
    titles = {name: provider.title for name, provider in parts().providers.items()}
    report_findings(found, titles, as_json=as_json)


@group.command("list")
@json_option
def show(as_json: bool) -> None:
    """List the carriers, and every destination that is paused with its reason.

    A destination is paused while it refuses everything; what waits for it is not lost.
    """
    on = parts().providers
    pauses = parts().store.read(circuit_breakers.unwell)
    carriers = [(p.name, p.title, p.name in on) for p in PROVIDERS]
    if as_json:
        document(
            {
                "carriers": [
                    {"carrier": name, "title": title, "on": is_on}
                    for name, title, is_on in carriers
                ],
                "paused": [
                    {
                        "destination": pause.name,
                        "until": stamp(pause.until),
                        "reason": pause.reason,
                        "needs_operator": pause.config,
                    }
                    for pause in pauses
                ],
            }
        )
        return
    table(
        ("CARRIER", "NAME", "STATE"),
        [(name, title, "on" if is_on else "off") for name, title, is_on in carriers],
        "",
    )
    click.echo()
    now = time.time()
    table(
        ("DESTINATION", "NEXT ATTEMPT", "FIX", "REASON"),
        [
            (
                pause.name,
                moment(pause.until) if pause.until > now else "now",
                "yes" if pause.config else "no",
                pause.reason,
            )
            for pause in pauses
        ],
        "Nothing is paused.",
        wrap=True,
    )

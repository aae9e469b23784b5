"""``flask doctor``: whether the world reaches this installation, and all that it needs."""

from dataclasses import asdict
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, escaped, json_option
from blueprints.probe import MOST_STREAM_SECONDS
from services.operations.doctor.diagnosis import Diagnosis, State
from services.operations.doctor.doctor import STREAM_SECONDS

LIMIT = "A call from this machine is not one from outside: see docs/doctor.md for what that means."


@command("doctor")
@click.option("--mail-to", metavar="ADDRESS", help="Also send a test mail to this address.")
@click.option(
    "--stream-seconds",
    type=click.IntRange(2, MOST_STREAM_SECONDS),
    default=STREAM_SECONDS,
    show_default=True,
    help="For how long a live stream must stay open.",
)
@json_option
def doctor(mail_to: str | None, stream_seconds: int, as_json: bool) -> None:
    """Check everything: APP_URL from outside, carriers, mail, push, clock, disk, database, worker.

    One line for each, with what to do. APP_URL is called by its public address, as carriers do:
    DNS, certificate, redirects, proxy headers, size of bodies, live stream, and what the webhooks
    answer. Nothing is stored and nobody is texted. The server must run. Exit code 1 if anything is
    broken; a warning leaves it at 0.
    """
    found = []
    for each in parts().doctor().run(mail_to, stream_seconds):
        found.append(each)
        if not as_json:
            _print(each)
    states = [each.state for each in found]
    if as_json:
        lines: list[dict[str, Any]] = [asdict(each) for each in found]
        document({"ok": State.BROKEN not in states, "lines": lines})
    else:
        broken, warned = states.count(State.BROKEN), states.count(State.WARNING)
        click.echo(f"\n{broken} broken, {warned} to look at, {states.count(State.OK)} well.")
        click.echo(LIMIT)
    raise SystemExit(1 if State.BROKEN in states else 0)


def _print(line: Diagnosis) -> None:
    click.echo(f"{line.state:<8} {escaped(line.reason)}")
    if line.remedy:
        click.echo(f"{'':<8} {escaped(line.remedy)}")

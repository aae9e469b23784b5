"""``flask messages recover``: fetches inbound messages that a carrier lists and we do not have."""

from collections import Counter

import click

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import command
from services.core.commands import flask_command
from services.core.errors import SendError
from services.operations.message_query import WHEN

UNFINISHED = (
    "What was stored stays so. Run the command again with the same --since: it goes on from there, "
    "and nothing is stored twice."
)


def _moment(written: str) -> float:
    """A written time in seconds since 1970."""
    try:
        return parts().local_time.read(written).timestamp()
    except ValueError:
        raise click.BadParameter(WHEN, param_hint="--since") from None


@command("recover")
@click.option(
    "--since",
    required=True,
    help="From when on, in APP_TIMEZONE: 2026-11-20 or 2026-11-20T08:30.",
)
def recover(since: str) -> None:
    """Fetch what came while nobody listened, from every carrier that can tell.

    What is there already is left alone. Textbridge does this by itself every quarter of an hour;
    the command is for longer ago. A carrier that cannot be asked does not stop the others; the
    command names it and ends with 1.
    """
    begin = _moment(since)
    able = [provider for provider in parts().providers.values() if provider.keeps_inbound]
    failed = []
    for provider in able:
        try:
            with progress_shown(rest=UNFINISHED) as progress:
                outcomes = parts().recovery.recover(provider, begin, progress)
        except SendError as error:
            failed.append(provider.title)
            click.echo(f"{provider.title}: {error.reason}", err=True)
            continue
        counted = Counter(outcome for outcome, _ in outcomes)
        click.echo(
            f"{provider.title}: {counted['received']} recovered, "
            f"{counted['repeated']} were there already."
        )
        if counted["quarantined"]:
            see = flask_command("quarantine list")
            click.echo(f"{counted['quarantined']} cannot be read. See: {see}")
    if not able:
        click.echo("No carrier that is on can tell what was missed.")
    if failed:
        raise click.ClickException(
            f"Not fetched from {', '.join(failed)}. Try it again with the same --since."
        )

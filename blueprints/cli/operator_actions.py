"""``flask messages retry``, ``settle``, ``cancel`` and ``route``: failed and waiting messages."""

import click

from blueprints.cli.parts import parts
from blueprints.cli.short_ids import whole_id
from blueprints.cli.terminal import command, document, escaped, json_option
from services.core.errors import RequestRefused
from services.store import dead_letters
from services.store.jobs import JobKind

KIND = click.Choice([str(kind) for kind in JobKind])


@command("retry")
@click.argument("message_id", metavar="[ID]", required=False)
@click.option("--job", "job_id", type=click.IntRange(1, 2**63 - 1), help="Only this part of it.")
@click.option("--all", "kind", type=KIND, help="Everything of a kind, of all messages.")
@click.option("--yes", is_flag=True, help="With --all: do not ask first.")
@click.option(
    "--resend-unknown",
    is_flag=True,
    help="Send it again even if it may have been sent: ask the carrier first.",
)
def retry(
    message_id: str | None, job_id: int | None, kind: str | None, yes: bool, resend_unknown: bool
) -> None:
    """Try again what could not be delivered of message ID (see: flask messages list --dead)."""
    if kind is not None:
        if message_id or job_id or resend_unknown:
            raise click.UsageError("--all goes with --yes only.")
        _retry_all(JobKind(kind), sure=yes)
        return
    if message_id is None:
        raise click.UsageError("Give the ID of a message, or --all KIND.")
    message_id = whole_id("message", message_id)
    try:
        revived = parts().operator_actions.retry(
            message_id, job_id=job_id, resend_unknown=resend_unknown
        )
    except RequestRefused as error:
        if error.code != "may_have_been_sent":
            raise
        raise click.ClickException(f"{error} To do so: --resend-unknown") from None
    for job in revived:
        click.echo(escaped(f"Due again: {job.kind} {job.target}".rstrip()))
    if not revived:
        click.echo("Nothing of this message is left to try again.")


def _retry_all(kind: JobKind, *, sure: bool) -> None:
    count = parts().store.read(dead_letters.counts).get(kind, 0)
    if count and not sure:
        click.confirm(f"Do {count} of the kind “{kind}” again?", abort=True)
    done, left = parts().operator_actions.retry_all(kind)
    click.echo(f"Due again: {done}. Left alone: {left}.")


@command("settle")
@click.argument("message_id", metavar="ID")
@click.option("--sent", "way", flag_value="sent", help="It was sent: the carrier has it.")
@click.option("--send-again", "way", flag_value="again", help="It was not: send it again.")
def settle(message_id: str, way: str | None) -> None:
    """Say what became of message ID, of which nobody knows whether it was sent."""
    if way is None:
        raise click.UsageError("Say --sent or --send-again.")
    message_id = whole_id("message", message_id)
    if way == "sent":
        parts().operator_actions.settle_as_sent(message_id)
        click.echo("Noted: it was sent.")
        return
    parts().operator_actions.send_again(message_id)
    click.echo("It is sent again.")


@command("cancel")
@click.argument("message_id", metavar="ID")
def cancel(message_id: str) -> None:
    """Cancel the scheduled message ID, so that it is never sent (see: --status scheduled)."""
    parts().scheduling.cancel_as_operator(whole_id("message", message_id))
    click.echo("Cancelled.")


@command("route")
@json_option
def route(as_json: bool) -> None:
    """Deliver what waits for numbers that somebody receives by now.

    Textbridge does this by itself when Message Settings change.
    """
    count = parts().operator_actions.deliver_waiting()
    if as_json:
        document({"delivered": count})
    else:
        click.echo(f"{count} delivered.")

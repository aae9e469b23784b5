"""``flask simulate-status``: posts what becomes of a message that was sent, as a carrier does."""

from collections.abc import Sequence

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, escaped, note
from blueprints.cli.webhook_post import WebhookPost, posting
from services.core.commands import flask_command
from services.core.messages import DeliveryStatus, Message, Status, WebhookCall
from services.providers.simulation import Outcome
from services.store import messages

OUTCOMES = tuple(map(str, (Status.SENT, Status.DELIVERED, Status.FAILED)))


@command("simulate-status")
@posting
@click.argument("status", type=click.Choice(OUTCOMES))
@click.option("--message", "message_id", help="Id of the message; else the newest that was sent.")
@click.option("--code", default="", help="The carrier's code of a failure.")
def simulate_status(post: WebhookPost, status: str, message_id: str | None, code: str) -> None:
    """Post what CARRIER posts when a message that was sent has STATUS.

    The call is signed and posted as by the command simulate. Every recipient of a group has the
    same status.
    """
    if code and status != Status.FAILED:
        raise click.UsageError("--code belongs to the status failed.")
    message = _sent(post, message_id)
    calls = receipts(post, message, Outcome(Status(status), code))
    if not calls:
        title = post.provider.title
        raise click.ClickException(
            f"{title} reports no “{status}”: it takes every message at once."
            if post.provider.receipts
            else f"{title} posts no delivery receipts: Textbridge asks for the status itself."
        )
    for call in calls:
        post.post(call)
    if message.status is Status.DELIVERED and status != Status.DELIVERED:
        note(
            "The message was delivered before, and stays so: this receipt is only noted. To try a "
            "failure, run simulate-api with --receipt none and send another text."
        )
    see = flask_command(f"messages show {message.id}")
    click.echo(
        f"The server at {post.base} took “{status}” for the message {message.id}. "
        f"The delivery worker processes it. See: {see}"
    )


def receipts(post: WebhookPost, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
    """The calls for what became of a message.

    Raises ``click.ClickException`` for a code that the carrier does not report.
    """
    calls = post.provider.simulated().receipts(message, outcome)
    read = [one for call in calls for one in post.provider.parse(call)]
    statuses = [one for one in read if isinstance(one, DeliveryStatus)]
    if outcome.code and calls and not any(one.code for one in statuses):
        raise click.ClickException(
            f"{post.provider.title} does not report “{escaped(outcome.code)}” as a code."
        )
    return calls


def _sent(post: WebhookPost, message_id: str | None) -> Message:
    """The message by its id, or the newest that the carrier has taken."""
    name, title = post.provider.name, post.provider.title
    if message_id is not None:
        found = parts().store.read(lambda tx: messages.by_id(tx, message_id))
        if found is None or found.direction != "out" or found.provider != name:
            raise click.ClickException(f"There is no such message that was sent by {title}.")
        return found
    newest = parts().store.read(lambda tx: messages.newest_sent(tx, name))
    if newest is None:
        raise click.ClickException(
            f"{title} has not taken any message yet. Without an account, its API can be played by: "
            + flask_command(f"simulate-api {name}")
        )
    return newest

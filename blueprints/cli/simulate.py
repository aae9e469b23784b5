"""``flask simulate``: posts an authenticated test webhook of a carrier to the running server."""

from pathlib import Path

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, escaped, note
from blueprints.cli.webhook_post import WebhookPost, check_address, posting
from services.core.commands import flask_command
from services.core.keywords import Keyword
from services.core.messages import Attachment, Message, WebhookCall
from services.core.phone_numbers import e164, known_as

EVENTS = (Keyword.STOP, Keyword.START, Keyword.HELP)
PICTURE = Path(__file__).parents[1] / "sandbox" / "static" / "bridge.jpg"


def _addresses(
    context: click.Context, option: click.Parameter, written: tuple[str, ...]
) -> tuple[str, ...]:
    for one in written:
        check_address(context, option, one)
    return written


@command("simulate")
@posting
@click.option("--from", "sender", required=True, help="Who writes: a phone number or short code.")
@click.option("--to", "number", required=True, help="The number of yours that it is written to.")
@click.option("--text", default="", help="What is written.")
@click.option(
    "--media-url",
    "links",
    multiple=True,
    callback=_addresses,
    help="Address of a picture; repeatable.",
)
@click.option("--picture", is_flag=True, help="With a picture of the simulated carrier.")
@click.option("--group", "members", multiple=True, help="Another member of a group; repeatable.")
@click.option(
    "--opt-out",
    "keyword",
    type=click.Choice([str(one) for one in EVENTS]),
    help="The keyword as the text, with the carrier's own event for it, where it has one.",
)
def simulate(
    post: WebhookPost,
    sender: str,
    number: str,
    text: str,
    links: tuple[str, ...],
    picture: bool,
    members: tuple[str, ...],
    keyword: str | None,
) -> None:
    """Post what CARRIER posts when a text comes in.

    The call is signed as the carrier signs it and goes to the running server, by HOST and PORT of
    .env; --url names a server that listens elsewhere. Some carriers sign with a private key that
    only they have: such a call needs --signing-key, and a server that has the public key of the
    same pair in its .env in place of the carrier's.
    """
    if not text and not links and not picture and not keyword:
        raise click.UsageError("Write a --text, or give --picture, a --media-url or --opt-out.")
    country, provider = parts().country, post.provider
    peer = known_as(sender, country)
    files = [Attachment(source_url=link) for link in links]
    if picture:
        files.append(provider.simulated().picture(PICTURE.read_bytes()))
    group = tuple(dict.fromkeys((peer, *(known_as(one, country) for one in members))))
    message = Message(
        direction="in",
        number=e164(number, country),
        peer=peer,
        text=text or (keyword or "").upper(),
        media=tuple(files),
        participants=group if len(group) > 1 else (),
        opt_out=Keyword(keyword) if keyword else None,
    )
    setting = parts().settings.for_number(message.number)
    if setting is not None and setting.carrier != provider.name:
        line = f"settings set NUMBER --carrier {provider.name} --extension 201"
        raise click.ClickException(
            f"{message.number} is a number of {setting.carrier}: answers to this text would go "
            f"there. Take a number of {provider.title}, or make one: {flask_command(line)}"
        )
    if any(map(str.isalpha, peer)):
        note(f"“{escaped(peer)}” is no phone number: it is taken as a sender's name.")
    call = provider.inbound_call(message)
    _require_features(post, message, call)
    post.post(call)
    see = flask_command("messages list")
    click.echo(
        f"The server at {post.base} took the text to {message.number}. "
        f"The delivery worker processes it. See: {see}"
    )
    if post.url is None and (setting is None or not setting.reaches_somebody):
        line = f"settings set {message.number} --carrier {provider.name} --extension 201"
        note(
            f"Nobody is set up for {message.number}, so it is kept as unassigned until you run: "
            + flask_command(line)
        )


def _require_features(post: WebhookPost, message: Message, call: WebhookCall) -> None:
    """Say what the carrier does not have: what its own webhook does not show us of a message."""
    title = post.provider.title
    read = next(one for one in post.provider.parse(call) if isinstance(one, Message))
    if message.participants and not read.participants:
        raise click.ClickException(
            f"{title} shows no groups: each of them is a text of its sender alone. Leave out "
            "--group."
        )
    if message.opt_out and not read.opt_out:
        word = message.opt_out.upper()
        note(f"{title} has no event of its own for {word}: the text alone is posted.")

"""``flask simulate``: posts an authenticated test webhook of a carrier to the running server."""

from pathlib import Path
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, escaped, note
from services.config.parsers import url as web_address
from services.core.messages import Attachment, Message, WebhookCall
from services.core.phone_numbers import e164, known_as
from services.http.client import Answer, NoAnswer, NotSent
from services.providers.base import Provider
from services.providers.proofs import NoSigningKey

SECONDS = 15.0
REMEDIES = {
    401: "Its token or password for this carrier is another one. Run: flask config reload",
    404: "The carrier is not on in the running server. Run: flask config reload",
    503: "Its database or disk is unwell. See its log, and: flask config check",
}


def _address(_: click.Context, __: click.Parameter, written: Any) -> Any:
    for one in [written] if isinstance(written, str) else written or ():
        try:
            web_address(one)
        except ValueError as error:
            raise click.BadParameter(f"“{one}” cannot be used: {error}") from None
    return written


@command("simulate")
@click.argument("carrier")
@click.option("--from", "sender", required=True, help="Who writes: a phone number or short code.")
@click.option("--to", "number", required=True, help="The number of yours that it is written to.")
@click.option("--text", default="", help="What is written.")
@click.option(
    "--media-url",
    "links",
    multiple=True,
    callback=_address,
    help="Address of a picture; repeatable.",
)
@click.option(
    "--signing-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM) of a pair of your own, for a carrier that signs with a key of its own.",
)
@click.option(
    "--url",
    callback=_address,
    help="Address of the server, such as http://127.0.0.1:8000; as in .env if left out.",
)
def simulate(
    carrier: str,
    sender: str,
    number: str,
    text: str,
    links: tuple[str, ...],
    signing_key: Path | None,
    url: str | None,
) -> None:
    """Post what CARRIER posts when a text comes in.

    The call is signed as the carrier signs it and goes to the running server. Some carriers sign
    with a private key that only they have: such a call needs --signing-key, and a server that has
    the public key of the same pair in its .env in place of the carrier's.
    """
    if not text and not links:
        raise click.UsageError("Write a --text or give a --media-url.")
    provider = _provider(carrier)
    message = Message(
        direction="in",
        number=e164(number, parts().country),
        peer=known_as(sender, parts().country),
        text=text,
        media=tuple(Attachment(source_url=link) for link in links),
    )
    base = (url or parts().environment.local_url).rstrip("/")
    _require_success(_post(provider, _signed(provider, message, signing_key), base), base)
    click.echo(f"The server at {base} took the text to {message.number}. See: flask messages list")
    setting = parts().settings.for_number(message.number)
    if url is None and (setting is None or not setting.reaches_somebody):
        note(
            f"Nobody is set up for {message.number}, so it is kept as unrouted until you run: "
            f"flask settings set {message.number} --carrier {carrier} --extension 201"
        )


def _provider(name: str) -> Provider:
    found = parts().providers.get(name)
    if found is None:
        on = ", ".join(parts().providers) or "none"
        raise click.ClickException(
            f"The carrier {name} is not configured (configured: {on}). See: flask config check"
        )
    return found


def _signed(provider: Provider, message: Message, key: Path | None) -> WebhookCall:
    if key is not None and not provider.proofs[0].foreign_key:
        raise click.UsageError(f"{provider.title} needs no --signing-key.")
    try:
        return provider.example(message, key.read_bytes() if key is not None else None)
    except NoSigningKey as error:
        raise click.ClickException(str(error)) from None


def _post(provider: Provider, call: WebhookCall, base: str) -> Answer:
    query = f"?{call.query}" if call.query else ""
    try:
        return parts().http.request(
            call.method,
            f"{base}/webhook/{provider.name}/sms{query}",
            headers=call.headers,
            data=call.body,
            seconds=SECONDS,
        )
    except NotSent as error:
        raise click.ClickException(
            f"No server answers at {base}: {error} Start it with: make run"
        ) from None
    except NoAnswer as error:
        raise click.ClickException(f"The server at {base} gave no answer: {error}") from None


def _require_success(answer: Answer, base: str) -> None:
    """Raise ``click.ClickException`` with a remedy for a refusal."""
    if not answer.ok:
        remedy = REMEDIES.get(answer.status) or f"It says: {_reason(answer)}"
        raise click.ClickException(
            f"The server at {base} refused it with {answer.status}. {remedy}"
        )


def _reason(answer: Answer) -> str:
    """The ``detail`` of the server's answer, where it has one (RFC 9457)."""
    try:
        return escaped(str(answer.json()["detail"]))
    except (ValueError, TypeError, KeyError):
        return "nothing."

"""``flask simulate``: posts an authenticated test webhook of a carrier to the running server."""

from pathlib import Path
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, escaped, note
from services.config.parsers import url as web_address
from services.core.commands import flask_command
from services.core.messages import Attachment, Message, WebhookCall
from services.core.phone_numbers import e164, known_as
from services.http.client import Answer, NoAnswer, NotSent
from services.operations.server_process import HOW_TO_START, running_pid
from services.providers import NAMES
from services.providers.base import Provider
from services.providers.proofs import NoSigningKey

SECONDS = 15.0
RELOAD, CHECK = flask_command("config reload"), flask_command("config check")
REMEDIES = {
    401: f"Its token or password for this carrier is another one. Run: {RELOAD}",
    404: f"The carrier is not on in the running server. Run: {RELOAD}",
    503: f"Its database or disk cannot be written to. See its log, and: {CHECK}",
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
    help="Address of the server, such as http://127.0.0.1:8001, where it is not HOST and PORT of "
    ".env.",
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

    The call is signed as the carrier signs it and goes to the running server, by HOST and PORT of
    .env; --url names a server that listens elsewhere. Some carriers sign with a private key that
    only they have: such a call needs --signing-key, and a server that has the public key of the
    same pair in its .env in place of the carrier's.
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
    place = "" if url else _place()
    _require_success(
        _post(provider, _signed(provider, message, signing_key), base, place), base, place
    )
    see = flask_command("messages list")
    click.echo(
        f"The server at {base} took the text to {message.number}. "
        f"The delivery worker processes it. See: {see}"
    )
    setting = parts().settings.for_number(message.number)
    if url is None and (setting is None or not setting.reaches_somebody):
        note(
            f"Nobody is set up for {message.number}, so it is kept as unassigned until you run: "
            + flask_command(f"settings set {message.number} --carrier {carrier} --extension 201")
        )


def _provider(name: str) -> Provider:
    provider = parts().providers.get(NAMES.get(name, name))
    if provider is None:
        on = ", ".join(parts().providers) or "none"
        raise click.ClickException(
            f"The carrier {name} is not configured (configured: {on}). See: {CHECK}"
        )
    return provider


def _place() -> str:
    """What may be wrong with the address by HOST and PORT of .env, where its server is not."""
    pid = running_pid(parts().environment.service.storage_path.resolve())
    if pid is None:
        return (
            f"No server of this installation runs on this machine. {HOW_TO_START} If it runs "
            "elsewhere, add its address: --url http://HOST:PORT"
        )
    return (
        f"This address is HOST and PORT of .env. The running server (process {pid}) was perhaps "
        "started with others: restart it, or add its address: --url http://HOST:PORT"
    )


def _signed(provider: Provider, message: Message, key: Path | None) -> WebhookCall:
    if key is not None and not provider.proofs[0].foreign_key:
        raise click.UsageError(f"{provider.title} needs no --signing-key.")
    try:
        return provider.example(message, key.read_bytes() if key is not None else None)
    except NoSigningKey as error:
        raise click.ClickException(str(error)) from None


def _post(provider: Provider, call: WebhookCall, base: str, place: str) -> Answer:
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
            f"No server answers at {base}: {error} {place or HOW_TO_START}"
        ) from None
    except NoAnswer as error:
        raise click.ClickException(
            f"The server at {base} gave no answer: {error} {place}".rstrip()
        ) from None


def _require_success(answer: Answer, base: str, place: str) -> None:
    """Raise ``click.ClickException`` with a remedy for a refusal."""
    if not answer.ok:
        remedy = REMEDIES.get(answer.status) or f"It says: {_reason(answer)}"
        raise click.ClickException(
            f"The server at {base} refused it with {answer.status}. {remedy} {place}".rstrip()
        )


def _reason(answer: Answer) -> str:
    """The ``detail`` of the server's answer, where it has one (RFC 9457)."""
    try:
        return escaped(str(answer.json()["detail"]))
    except (ValueError, TypeError, KeyError):
        return "nothing."

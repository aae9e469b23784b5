"""Posting a simulated carrier's call to the webhook of the running server."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import escaped
from services.config.parsers import url as web_address
from services.core.commands import flask_command
from services.core.messages import WebhookCall
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


def check_address(_: click.Context, __: click.Parameter, written: str | None) -> str | None:
    """Callback of options: a web address, or none."""
    if written is not None:
        try:
            web_address(written)
        except ValueError as error:
            raise click.BadParameter(f"“{written}” cannot be used: {error}") from None
    return written


signing_key_option = click.option(
    "--signing-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM) of a pair of your own, for a carrier that signs with a key of its own.",
)
url_option = click.option(
    "--url",
    callback=check_address,
    help="Address of the server, such as http://127.0.0.1:8001, where it is not HOST and PORT of "
    ".env.",
)


def posting(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator of a command: its first argument is the ``WebhookPost`` of the carrier named."""

    @click.argument("carrier")
    @signing_key_option
    @url_option
    @wraps(function)
    def run(carrier: str, signing_key: Path | None, url: str | None, **asked: Any) -> None:
        function(webhook_post(carrier, signing_key, url), **asked)

    return run


@dataclass(frozen=True)
class WebhookPost:
    """Posts calls of a carrier, with their proof; every method raises ``click.ClickException``."""

    provider: Provider
    key: bytes | None
    url: str | None

    @property
    def base(self) -> str:
        """The address of the server."""
        return (self.url or parts().environment.local_url).rstrip("/")

    def post(self, call: WebhookCall) -> None:
        """Post one call, which must be taken."""
        answer = self._answer(self._signed(call))
        if not answer.ok:
            remedy = REMEDIES.get(answer.status) or f"It says: {_reason(answer)}"
            text = f"The server at {self.base} refused it with {answer.status}. {remedy}"
            raise click.ClickException(f"{text} {self._place()}".rstrip())

    def _signed(self, call: WebhookCall) -> WebhookCall:
        if self.key is not None and not self.provider.proofs[0].foreign_key:
            raise click.UsageError(f"{self.provider.title} needs no --signing-key.")
        try:
            return self.provider.signed(call, self.key)
        except NoSigningKey as error:
            raise click.ClickException(str(error)) from None

    def _answer(self, call: WebhookCall) -> Answer:
        query = f"?{call.query}" if call.query else ""
        try:
            return parts().http.request(
                call.method,
                f"{self.base}/webhook/{self.provider.name}/sms{query}",
                headers=call.headers,
                data=call.body,
                seconds=SECONDS,
            )
        except NotSent as error:
            raise click.ClickException(
                f"No server answers at {self.base}: {error} {self._place() or HOW_TO_START}"
            ) from None
        except NoAnswer as error:
            raise click.ClickException(
                f"The server at {self.base} gave no answer: {error} {self._place()}".rstrip()
            ) from None

    def _place(self) -> str:
        """What may be wrong with the address by HOST and PORT of .env, if it is that one."""
        return "" if self.url else _where_the_server_is()


def webhook_post(carrier: str, signing_key: Path | None, url: str | None) -> WebhookPost:
    """What posts the calls of a configured carrier. Raises ``click.ClickException``."""
    provider = parts().providers.get(NAMES.get(carrier, carrier))
    if provider is None:
        on = ", ".join(parts().providers) or "none"
        raise click.ClickException(
            f"The carrier {carrier} is not configured (configured: {on}). See: {CHECK}"
        )
    return WebhookPost(provider, signing_key.read_bytes() if signing_key else None, url)


def _where_the_server_is() -> str:
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


def _reason(answer: Answer) -> str:
    """The ``detail`` of the server's answer, where it has one (RFC 9457)."""
    try:
        return escaped(str(answer.json()["detail"]))
    except (ValueError, TypeError, KeyError):
        return "nothing."

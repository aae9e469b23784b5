"""``flask simulate-api``: plays the API of a carrier, so that replies leave without an account."""

import time
from dataclasses import fields
from pathlib import Path
from queue import Queue

import click

from blueprints.cli.parts import parts
from blueprints.cli.simulate import PICTURE
from blueprints.cli.simulate_status import OUTCOMES, receipts
from blueprints.cli.terminal import command, escaped, note
from blueprints.cli.webhook_post import WebhookPost, signing_key_option, url_option, webhook_post
from services.core.commands import flask_command
from services.core.messages import Message, Status
from services.operations.simulated_api import SimulatedApi
from services.providers import NAMES, PROVIDERS
from services.providers.base import Provider
from services.providers.sandbox import Sandbox
from services.providers.simulation import Account, Outcome
from services.store import messages

PORT = 8025
STORED_SECONDS = 30.0  # until the worker has noted the id of a message that was accepted
NO_RECEIPT = "none"
USUAL = "usual"


@command("simulate-api")
@click.argument("carrier")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option(
    "--receipt",
    type=click.Choice([*OUTCOMES, NO_RECEIPT]),
    default=str(Status.DELIVERED),
    show_default=True,
    help="What becomes of each message that it takes.",
)
@click.option("--code", default="", help="With --receipt failed: the carrier's code.")
@click.option(
    "--after",
    type=click.FloatRange(0, 3600),
    default=2.0,
    show_default=True,
    help="Seconds until the receipt.",
)
@click.option(
    "--refuse",
    is_flag=False,
    flag_value=USUAL,
    default="",
    help="Refuse every message; with a value, with this code or sentence of the carrier.",
)
@signing_key_option
@url_option
def simulate_api(
    carrier: str,
    port: int,
    receipt: str,
    code: str,
    after: float,
    refuse: str,
    signing_key: Path | None,
    url: str | None,
) -> None:
    """Play the API of CARRIER on this machine, until Ctrl-C.

    Textbridge sends to it when .env has its address, which is printed. It takes every message and
    reports after some seconds that it was delivered; no text leaves this machine. Checks of the
    account (doctor, setup) find the carrier's numbers of Message Settings.
    """
    if code and receipt != Status.FAILED:
        raise click.UsageError("--code belongs to --receipt failed.")
    cls = _carrier(carrier)
    address = f"http://127.0.0.1:{port}"
    lines = [f"{name}={value.format(api=address)}" for name, value in cls.Simulated.env.items()]
    if cls.name not in parts().providers:
        listed = "\n".join(f"  {line}" for line in [*lines, *_proof_lines(cls)])
        raise click.ClickException(
            f"{cls.title} is not configured. For the simulated one, put this into .env, run "
            f"{flask_command('config reload')} and then this command again:\n{listed}"
        )
    post = webhook_post(carrier, signing_key, url)
    simulated = post.provider.simulated()

    settings = parts().settings  # ``account`` is called by threads that have no application

    def account() -> Account:
        known = (each.number for each in settings.all() if each.carrier == cls.name)
        return Account(tuple(known), post.provider.webhook_url)

    outcome = None if receipt == NO_RECEIPT else Outcome(Status(receipt), code)
    reports = Receipts(post, outcome, after)
    try:
        api = SimulatedApi(
            simulated,
            PICTURE.read_bytes(),
            port=port,
            refuse=simulated.refusal if refuse == USUAL else refuse,
            accepted=reports.expect,
            told=lambda line: click.echo(escaped(line)),
            account=account,
        )
    except OSError as error:
        raise click.ClickException(f"Nothing can listen at {address}: {error.strerror}.") from None
    note(
        f"{cls.title} is simulated at {address}. .env must have "
        + ", ".join(line for line in lines if address in line)
        + ". Ctrl-C ends it."
    )
    with api:
        try:
            reports.post_for_ever()
        except KeyboardInterrupt:
            return


class Receipts:
    """Posts what becomes of the messages that were accepted, each some seconds later."""

    def __init__(self, post: WebhookPost, outcome: Outcome | None, after: float) -> None:
        self._post = post
        self._outcome = outcome
        self._after = after
        self._due: Queue[tuple[float, str]] = Queue()

    def expect(self, carrier_id: str) -> None:
        """A message was accepted, by another thread."""
        self._due.put((time.monotonic() + self._after, carrier_id))

    def post_for_ever(self) -> None:
        """Post the receipts in turn."""
        while True:
            self.post_next()

    def post_next(self) -> None:
        """Wait for the next message that is accepted, and post its receipts when they are due."""
        due, carrier_id = self._due.get()
        if self._outcome is None:
            return
        time.sleep(max(due - time.monotonic(), 0.0))
        message = self._stored(carrier_id)
        if message is None:
            note(f"The message {carrier_id} is not in this installation's database.")
            return
        try:
            for call in receipts(self._post, message, self._outcome):
                self._post.post(call)
        except click.ClickException as error:
            note(error.format_message())

    def _stored(self, carrier_id: str) -> Message | None:
        """The message with a carrier's id, once the worker has noted it."""
        name, end = self._post.provider.name, time.monotonic() + STORED_SECONDS
        while time.monotonic() < end:
            found = parts().store.read(lambda tx: messages.by_carrier_id(tx, name, carrier_id))
            if found:
                return found[0]
            time.sleep(0.2)
        return None


def _carrier(name: str) -> type[Provider]:
    """The class of a carrier. Raises ``click.ClickException``."""
    known = {one.name: one for one in PROVIDERS if one is not Sandbox}
    found = known.get(NAMES.get(name, name))
    if found is None:
        raise click.ClickException(f"Unknown carrier “{name}”. Use one of: {', '.join(known)}.")
    return found


def _proof_lines(cls: type[Provider]) -> list[str]:
    """What .env needs so that simulated webhooks of a carrier with its own key are believed."""
    if "public_key" not in {each.name for each in fields(cls.Settings)}:
        return []
    return [
        f"{cls.prefix()}PUBLIC_KEY=… (of a pair of your own, see docs/carriers/{cls.name}.md; "
        "its private key is for --signing-key)"
    ]

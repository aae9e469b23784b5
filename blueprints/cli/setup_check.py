"""Asks the carrier about the answers of ``flask setup``, and the person what follows."""

from collections.abc import Sequence
from enum import StrEnum

import click

from blueprints.cli.terminal import escaped
from services.core.commands import flask_command
from services.core.errors import Kind, SendError
from services.core.messages import Finding
from services.providers.base import Provider


class Choice(StrEnum):
    """What to do with an answer that the carrier has not confirmed."""

    ASK = "a"
    ENTER = "e"
    KEEP = "k"


class CarrierCheck:
    """Checks credentials and numbers; ``unconfirmed`` names those that were kept all the same.

    With ``asks=False`` nobody is asked what follows; with ``is_checking=False`` no carrier is.
    """

    def __init__(self, *, asks: bool, is_checking: bool) -> None:
        self._asks = asks
        self._is_checking = is_checking
        self.unconfirmed: list[str] = []

    def check(
        self, provider: Provider, numbers: list[str], known: Sequence[Finding] = ()
    ) -> tuple[list[Finding], bool]:
        """Ask the carrier about the credentials, or about the one in ``numbers``.

        Returns what pasting the webhook's address settles, and whether to go on with the answer;
        ``known`` is wrong with it without asking. Raises ``click.ClickException`` for scripts.
        """
        what, label = "these credentials", f"the credentials of {provider.title}"
        if numbers:
            what, label = "this number", numbers[0]
        while True:
            findings, is_reached = list(known), True
            if self._is_checking and not known:
                findings, is_reached = self._asked(provider, numbers)
            later = [one for one in findings if not one.ok and _is_about_webhook(provider, one)]
            now = [one for one in findings if one not in later]
            _print_findings(now)
            if all(one.ok for one in now):
                self.unconfirmed += [] if self._is_checking else [label]
                return later, True
            choice = self._choice(provider.title, what, is_reached)
            if choice is not Choice.ASK:
                is_kept = choice is Choice.KEEP
                self.unconfirmed += [label] if is_kept else []
                return later, is_kept

    @staticmethod
    def _asked(provider: Provider, numbers: list[str]) -> tuple[list[Finding], bool]:
        """What the carrier says, and whether it could be asked."""
        click.echo(f"   … asking {provider.title}")
        try:
            return list(provider.check(numbers)), True
        except SendError as error:
            return [Finding(False, error.reason)], error.kind in (Kind.CONFIG, Kind.REFUSED)

    def _choice(self, title: str, what: str, is_reached: bool) -> Choice:
        """What to do with an answer that is not confirmed; raises where nobody can say."""
        reason = f"{title} does not take {what}, see above."
        if not is_reached:
            reason = f"{title} could not be asked about {what}, see above. Try again later."
        if not self._asks:
            more = "Nothing was changed. With --unchecked it is not asked."
            raise click.ClickException(f"{reason} {more}")
        offered = {} if is_reached else {Choice.ASK: f"ask {title} again"}
        offered |= {Choice.ENTER: f"enter {what} again", Choice.KEEP: f"keep {what} all the same"}
        written = click.prompt(
            "   " + ", ".join(f"[{key}] {words}" for key, words in offered.items()),
            type=click.Choice([str(key) for key in offered], case_sensitive=False),
            default=str(next(iter(offered))),
            show_choices=False,
        )
        return Choice(written)


def _is_about_webhook(provider: Provider, finding: Finding) -> bool:
    """Whether pasting the webhook's address settles a finding."""
    return any(sign in finding.text for sign in (provider.webhook_url, flask_command("webhooks")))


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        click.echo(f"   {'ok ' if finding.ok else 'FIX'} {escaped(finding.text)}")

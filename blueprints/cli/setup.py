"""``flask setup``: asks for address, carrier, credentials, number and extension, and writes them.

Nothing is written before the last question is answered.
"""

import sys
from dataclasses import asdict
from pathlib import Path

import click
from flask import current_app

from blueprints.cli.setup_questions import Plan, Questions
from blueprints.cli.terminal import command, escaped
from services.config import env_file, env_file_edit
from services.core.commands import flask_command
from services.core.errors import ConfigError, Problem, RequestRefused
from services.gateway import Gateway
from services.operations.server_process import reload_server, running_pid

NO_FILE = (
    "There is no {file} to write to. After `make install` there is one. In a container the engine "
    "reads .env: write it where the container is started, see docs/install.md."
)

NO_TERMINAL = (
    "There is no terminal to ask in (docker and ssh give one with -t). For scripts: --yes with the "
    f"other options, see `{flask_command('setup --help')}`. Nothing was changed."
)


@command("setup")
@click.option("--address", help="Public address of this server, such as https://sms.example.com")
@click.option("--carrier", help="Name of the carrier, such as bandwidth.")
@click.option("--number", help="Your number at this carrier.")
@click.option("--extension", help="Extension of the PBX that gets its texts.")
@click.option("--yes", is_flag=True, help="Ask nothing; for scripts. Secrets are variables.")
@click.option("--unchecked", is_flag=True, help="Do not ask the carrier.")
def setup(
    address: str | None,
    carrier: str | None,
    number: str | None,
    extension: str | None,
    yes: bool,
    unchecked: bool,
) -> None:
    """Set up one carrier and one number, in five questions.

    Each answer is checked at once, the credentials and the number at the carrier. What is set
    already is shown and kept with Enter. At the end .env and Message Settings are written, and the
    addresses to paste at the carrier are printed. Ctrl-C leaves everything as it was.

    For scripts: --yes with the other options; the credentials are taken from the environment (or
    from .env), under the names that .env has for them.
    """
    env = current_app.extensions["env"]
    file = Path(env["ENV_FILE"]) if env.get("ENV_FILE") else None
    if file is None or not file.is_file():
        raise click.ClickException(NO_FILE.format(file=file or ".env"))
    if not yes and not sys.stdin.isatty():
        raise click.ClickException(NO_TERMINAL)
    questions = Questions(env, asks=not yes, is_checking=not unchecked)
    try:
        plan = questions.ask(address, carrier, number, extension)
        with_changes = _changes(file, plan)
        _print_plan(file, plan, with_changes)
        if not yes:
            click.confirm("Write this?", default=True, abort=True)
    except click.Abort:
        click.echo()
        raise click.ClickException("Stopped. Nothing was changed.") from None
    try:
        _write(file, plan, with_changes)
        _print_next(plan)
    finally:
        plan.gateway.close()


def _changes(file: Path, plan: Plan) -> dict[str, str]:
    """The variables whose value in the file is another one."""
    if not _is_writable(file):
        problem = Problem(str(file), "may not be written by you.", "Run this as its owner.")
        raise ConfigError([problem])
    written = env_file.read(file, {})
    return {name: value for name, value in plan.values.items() if written.get(name) != value}


def _is_writable(file: Path) -> bool:
    try:
        with file.open("r+b"):
            return True
    except OSError:
        return False


def _print_plan(file: Path, plan: Plan, changes: dict[str, str]) -> None:
    click.echo()
    if changes:
        click.echo(f"To be written into {file}; all other lines stay:")
    for name, value in changes.items():
        shown = "••••••••" if name in plan.secrets else escaped(value)
        click.echo(f"  {name}={shown}")
    if not changes:
        click.echo(f"{file} has all of this.")
    click.echo(
        f"Message Settings: {plan.number} of {plan.provider.title} belongs to extension "
        f"{' and '.join(plan.extensions)}."
    )


def _write(file: Path, plan: Plan, changes: dict[str, str]) -> None:
    gateway: Gateway = plan.gateway
    gateway.prepare()
    known = gateway.settings.for_number(plan.number)
    entry = asdict(known) if known else {"number": plan.number}
    entry |= {"carrier": plan.provider.name, "extensions": plan.extensions}
    gateway.settings.put(entry)
    if changes:
        earlier = env_file_edit.write(file, changes)
        click.echo(f"Written. {earlier} is a copy of the file as it was.")
    if plan.is_checked:  # the pages show the result, too
        gateway.carrier_status.check(plan.provider)


def _print_next(plan: Plan) -> None:
    provider, environment = plan.provider, plan.gateway.environment
    click.echo(f"\nPaste this address at {provider.title}:\n\n  {provider.webhook_url}\n")
    click.echo(f"  {provider.webhook_hint}")
    for finding in plan.later:
        click.echo(f"  Still to do: {escaped(finding.text)}")
    click.echo("\nThen:")
    storage = environment.service.storage_path.resolve()
    if running_pid(storage) is None:
        click.echo("  Start the server: make run, or as a service: systemctl restart textbridge")
    else:
        try:
            reload_server(storage)
            click.echo("  The server runs and reads the new settings now.")
        except RequestRefused as error:
            click.echo(f"  {error.reason}")
    if plan.unconfirmed:
        names = " and ".join(plan.unconfirmed)
        click.echo(f"  Not confirmed by {provider.title} yet: {escaped(names)}. No text is sent or")
        click.echo("  received if they are wrong: check them before anything else.")
    if plan.later or plan.unconfirmed:
        click.echo(f"  Check the carrier again:   {flask_command('carriers check')}")
    click.echo(f"  Pair the phone app:        {flask_command(f'devices pair {plan.extension}')}")
    click.echo(f"  Then text {plan.number} from your own phone. If it does not arrive:")
    click.echo(f"                             {flask_command('status')}")

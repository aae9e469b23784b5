"""``flask config``: shows and checks the variables of ``.env``, and reloads them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict

import click

from blueprints.cli.parts import parts
from blueprints.cli.settings import note_left_file
from blueprints.cli.terminal import Group, document, escaped, json_option
from services.config import variables
from services.config.environment import Environment
from services.config.variables import Variable
from services.core.errors import Problem, StorageUnwell
from services.operations.config_findings import SECTIONS, in_force
from services.operations.server_process import reload_server
from services.providers.sandbox import Sandbox

group = Group("config", help="See and check the settings in .env, and apply a change.")


@group.command()
@json_option
def check(as_json: bool) -> None:
    """Say what was understood of .env and what is wrong with it.

    Shows every section with its values (secrets are hidden), which carriers and channels are on,
    and which variables would turn on the others. A bucket for attachments and a mailbox for answers
    are tried out. Exit code 1 if anything should be fixed.
    """
    environment = parts().environment
    problems = [*parts().config_findings.all(), *_tried_out()]
    warnings = _warnings()
    if as_json:
        document(
            {
                "ok": not problems,
                "problems": [asdict(problem) for problem in problems],
                "warnings": warnings,
                "carriers": sorted(environment.carriers),
                "channels": sorted(environment.channels),
                "off": dict(_off(environment)),
                "variables": dict(_shown(environment)),
            }
        )
    else:
        _print_sections(environment)
        _print_problems([str(problem) for problem in problems])
        for warning in warnings:
            click.echo(f"Warning: {escaped(warning)}")
    note_left_file()
    raise SystemExit(1 if problems else 0)


@group.command()
@json_option
def show(as_json: bool) -> None:
    """Print the variables in force as NAME=value, secrets hidden."""
    shown = dict(_shown(parts().environment))
    if as_json:
        document(shown)
        return
    for name, value in shown.items():
        click.echo(f"{name}={escaped(value)}")


@group.command()
def reload() -> None:
    """Make the running server read .env again, without dropping a request."""
    pid = reload_server(parts().environment.service.storage_path.resolve())
    click.echo(f"The server (process {pid}) reads .env again and renews its workers.")


def _tried_out() -> Iterator[Problem]:
    """What is wrong with bucket, mailbox and Message Settings; ``/ready`` looks at each itself."""
    checks = parts().credential_checks
    if trouble := checks.bucket():
        remedy = "Until then pictures wait, and texts go on."
        yield Problem("The MEDIA_S3_ variables", f"do not work: {trouble}", remedy)
    mailbox = checks.answers()
    if mailbox is not None and not mailbox.ok:
        remedy = "Until then answers to mails wait in the mailbox."
        yield Problem("The IMAP_ variables", f"do not work: {mailbox.text}", remedy)
    settings = parts().settings
    if settings.problem is not None:
        remedy = f"{settings.remedy} The last good settings stay in force until then."
        yield Problem("Message Settings", settings.problem, remedy)


def _warnings() -> list[str]:
    """What may be meant so: headers of a proxy, which any stranger can send, and odd rules."""
    with suppress(StorageUnwell):
        return [*parts().proxies.warnings(), *parts().rule_warnings.all()]
    return []


def _shown(environment: Environment) -> Iterator[tuple[str, str]]:
    """Every variable in force with its value, secrets hidden."""
    on = in_force(environment)
    for _, prefix, _ in SECTIONS:
        if prefix in on:
            for variable, value in variables.described(on[prefix], prefix):
                yield variable.name, value


def _off(environment: Environment) -> Iterator[tuple[str, list[str]]]:
    """The title of every section that is off, with the variables that would turn it on."""
    on = in_force(environment)
    for title, prefix, section in SECTIONS:
        if prefix not in on:
            yield title, [v.name for v in variables.variables(section, prefix) if _turns_on(v)]


def _turns_on(variable: Variable) -> bool:
    return variable.required or variable.name in (
        "MAIL_HOST",
        "MAIL_FROM_ADDRESS",
        "MAIL_ANSWERS_ADDRESS",
    )


def _print_sections(environment: Environment) -> None:
    on = in_force(environment)
    for title, prefix, _ in SECTIONS:
        if prefix in on:
            click.echo(title)
            for variable, value in variables.described(on[prefix], prefix):
                click.echo(f"  {variable.name}={escaped(value)}")
            click.echo()
    if Sandbox.name in environment.carriers:
        click.echo("Sandbox: on, as APP_ENV is local and no carrier is configured.")
    for title, needed in _off(environment):
        click.echo(f"{title}: off. To turn it on, set {', '.join(needed)}.")
    click.echo()


def _print_problems(problems: list[str]) -> None:
    if not problems:
        click.echo("Everything is in order.")
    for problem in problems:
        click.echo(f"To fix: {escaped(problem)}")

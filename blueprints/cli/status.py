"""``flask status``: problems, the setup checklist, and the next thing to do."""

from dataclasses import asdict

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, escaped, json_option
from services.core.commands import flask_command
from services.operations.setup_checklist import Stage

# The command that does or checks each step.
COMMANDS = {
    Stage.CARRIER: "config check",
    Stage.CREDENTIALS: "carriers check",
    Stage.WEBHOOK: "webhooks",
    Stage.NUMBER: "settings set NUMBER --carrier NAME --extension 201",
    Stage.DEVICE: "devices pair 201",
    Stage.TEXT: "messages list",
}


@command("status")
@json_option
def status(as_json: bool) -> None:
    """Say what is wrong and what is missing until the first text. Exit code 1 if anything is wrong.

    The same as on the start page of /admin.
    """
    checks = [check for check in parts().health.checks() if not check.ok]
    warnings = parts().health.warnings()
    steps = parts().setup_checklist.steps()
    if as_json:
        document(
            {
                "wrong": [asdict(check) for check in checks],
                "warnings": [asdict(warned) | {"reason": str(warned)} for warned in warnings],
                "steps": [asdict(step) for step in steps],
            }
        )
    else:
        reasons = [*(each.reason for each in checks), *map(str, warnings)]
        for reason in reasons or ["Everything is well."]:
            click.echo(escaped(reason))
        click.echo()
        for step in steps:
            click.echo(f"{'done' if step.done else 'TODO'}  {step.title}: {escaped(step.words)}")
            if not step.done:
                click.echo(f"      {flask_command(COMMANDS[step.stage])}")
    raise SystemExit(1 if checks else 0)

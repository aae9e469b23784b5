"""Commands of the operator: ``flask …``, one module for each subject."""

from flask import Flask

from blueprints.cli import (
    activity,
    audit,
    backup,
    bulksends,
    carriers,
    config,
    contacts,
    database,
    devices,
    doctor,
    export,
    extensions,
    mail,
    media,
    messages,
    migrate,
    operator_actions,
    optouts,
    people,
    prune,
    push,
    quarantine,
    recover,
    restore,
    rules,
    settings,
    setup,
    simulate,
    simulate_api,
    simulate_status,
    status,
    templates,
    version,
    webhooks,
    why,
    worker,
)
from services.gateway import Gateway

COMMANDS = (
    setup.setup,
    status.status,
    why.why,
    doctor.doctor,
    version.version,
    activity.activity,
    config.group,
    webhooks.webhooks,
    settings.group,
    rules.group,
    templates.group,
    extensions.group,
    devices.group,
    contacts.group,
    people.group,
    optouts.group,
    optouts.blocked,
    messages.group,
    bulksends.group,
    media.group,
    quarantine.group,
    carriers.group,
    push.group,
    mail.group,
    simulate.simulate,
    simulate_status.simulate_status,
    simulate_api.simulate_api,
    worker.worker,
    backup.backup,
    restore.put_back,
    database.group,
    migrate.group,
)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the operator's commands to ``flask``."""
    app.extensions.setdefault("gateway", gateway)  # for ``parts``; app.py sets it as well
    add_commands(app)


def add_commands(app: Flask) -> None:
    """Add the commands alone: without ``parts`` only their help can be used."""
    for one in (
        recover.recover,
        operator_actions.retry,
        operator_actions.settle,
        operator_actions.cancel,
        operator_actions.route,
        export.export,
        audit.check,
        prune.prune,
    ):
        messages.group.add_command(one)
    for command in COMMANDS:
        app.cli.add_command(command)

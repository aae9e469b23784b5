"""Textbridge as a Flask application."""

from collections.abc import Mapping

import click
from flask import Flask

from blueprints import (
    acrobits,
    admin,
    api,
    cli,
    compression,
    errors,
    health,
    media,
    phone,
    probe,
    request_body,
    ringotel,
    sandbox,
    webhooks,
)
from blueprints.admin_access import AdminAccess
from blueprints.client_address import Callers
from services.config.logging import configure
from services.gateway import Gateway, load_environment


def create_app(env: Mapping[str, str]) -> Flask:
    """Build the service from an environment and add its routes and commands.

    Raises ``ConfigError`` with everything that is wrong with the environment, ``StorageUnwell``,
    and ``SettingsError`` for Message Settings that cannot be copied into the database.
    """
    environment = load_environment(env)
    configure(environment, in_command=click.get_current_context(silent=True) is not None)
    gateway = Gateway(environment)
    gateway.prepare()
    app = Flask(__name__, static_folder=None)
    app.extensions["gateway"] = gateway  # for gunicorn.conf.py
    app.extensions["env"] = env  # for ``flask setup``
    app.json.sort_keys = False  # type: ignore[attr-defined]
    service = environment.service
    compression.register(app)
    errors.register(app, service.app_name)
    request_body.register(app)
    access = AdminAccess(gateway.admin_auth, service, gateway.proxies)
    for provider in gateway.providers.values():
        app.register_blueprint(
            webhooks.blueprint(gateway.receiver, provider, access.callers, gateway.probe_key)
        )
    webhooks.note_strays(app, gateway.stray_webhooks)
    app.register_blueprint(media.blueprint(gateway.store, gateway.media, gateway.thumbnails))
    app.register_blueprint(health.blueprint(gateway.health, access))
    app.register_blueprint(
        probe.blueprint(gateway.probe_key, Callers(service.trusted_proxies or ()))
    )
    for package in (api, admin, phone, sandbox, ringotel, acrobits, cli):
        package.register(app, gateway)
    return app


def create_setup(env: Mapping[str, str]) -> Flask:
    """Build what has ``flask setup`` alone, where the environment is not usable yet."""
    app = Flask(__name__, static_folder=None)
    app.extensions["env"] = env
    app.cli.add_command(cli.setup.setup)
    return app


def create_help() -> Flask:
    """Build what prints the help of every command, where the environment is not usable."""
    app = Flask(__name__, static_folder=None)
    cli.add_commands(app)
    return app

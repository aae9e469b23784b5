"""Textbridge as a Flask application."""

from collections.abc import Mapping

from flask import Flask

from blueprints import (
    acrobits,
    admin,
    api,
    cli,
    errors,
    health,
    media,
    phone,
    ringotel,
    sandbox,
    webhooks,
)
from services.config.logging import configure
from services.gateway import Gateway, load_environment


def create_app(env: Mapping[str, str]) -> Flask:
    """Build the service from an environment and open its doors.

    Raises ``ConfigError`` with everything that is wrong with the environment, ``StorageUnwell``,
    and ``SettingsError`` for Message Settings that cannot be taken over into the database.
    """
    environment = load_environment(env)
    configure(environment)
    gateway = Gateway(environment)
    gateway.prepare()
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["gateway"] = gateway
    errors.register(app)
    for provider in gateway.providers.values():
        app.register_blueprint(webhooks.blueprint(gateway, provider))
    for door in (api, admin, media, phone, health, sandbox, ringotel, acrobits, cli):
        door.register(app, gateway)
    return app

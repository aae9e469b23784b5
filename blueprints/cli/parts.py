"""The parts of the service that the commands work on."""

from flask import current_app

from services.gateway import Gateway


def parts() -> Gateway:
    """The composition root of the running command: Flask gives commands no constructor."""
    found: Gateway = current_app.extensions["gateway"]
    return found

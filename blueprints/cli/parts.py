"""The parts of the service that the commands work on."""

from flask import current_app

from services.gateway import Gateway
from services.store.database.time_limits import COMMAND_SECONDS


def parts() -> Gateway:
    """The composition root of the running command: Flask gives commands no constructor.

    A command may take longer than a request.
    """
    found: Gateway = current_app.extensions["gateway"]
    found.store.limits.extend(COMMAND_SECONDS)
    return found

"""Guard of the sandbox: its pages and its webhook answer this machine only."""

from flask import Flask, request
from werkzeug.exceptions import Forbidden

from blueprints.client_address import Callers
from services.providers.sandbox import Sandbox

BLUEPRINTS = ("sandbox", f"webhook_{Sandbox.name}")


def guard(app: Flask, callers: Callers, local_url: str) -> None:
    """Refuse, with a 403, every other caller, and whatever a proxy passes on.

    ``local_url`` is where this machine reaches the server.
    """

    @app.before_request
    def require_this_machine() -> None:
        if request.blueprint in BLUEPRINTS and not callers.caller().is_this_machine:
            raise Forbidden(
                "The sandbox answers this machine only, and nothing that another web server passes "
                f"on. Open {local_url}/sandbox on the machine itself, or forward its port with "
                "ssh -L."
            )

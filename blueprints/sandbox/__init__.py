"""The sandbox: a page that plays a phone outside and, beside it, the app of an extension.

It exists only while the carrier ``sandbox`` does: on a desk (``APP_ENV=local``) with no carrier
configured. The phone outside comes in by the carrier's real webhook, the extension by the REST API;
this door adds only what a page needs before and a phone network would know.
"""

from flask import Flask

from blueprints.sandbox import front_page, page
from services.gateway import Gateway
from services.providers.sandbox import Sandbox


def register(app: Flask, gateway: Gateway) -> None:
    """Open the front door, and the sandbox where it is on."""
    provider = gateway.providers.get(Sandbox.name)
    app.register_blueprint(front_page.blueprint(sandbox=provider is not None))
    if provider is not None:
        app.register_blueprint(page.blueprint(gateway, provider))

"""Sandbox: a page that plays an outside phone and, beside it, the app of an extension.

It exists only while the carrier ``sandbox`` does: with ``APP_ENV=local`` and no carrier configured.
It answers this machine only. The outside phone uses the carrier's real webhook, the extension the
REST API; this blueprint adds only the session of the page and the messages of the outside phone.
"""

from flask import Flask

from blueprints.client_address import Callers
from blueprints.sandbox import front_page, page
from blueprints.sandbox.outside_phone import OutsidePhone
from blueprints.sandbox.session import SandboxSession
from blueprints.sandbox.this_machine import guard
from services.gateway import Gateway
from services.providers.sandbox import Sandbox


def register(app: Flask, gateway: Gateway) -> None:
    """Add the start page ``/``, and the sandbox where it is on."""
    provider = gateway.providers.get(Sandbox.name)
    environment = gateway.environment
    callers = Callers(environment.service.trusted_proxies or (), gateway.proxies)
    app.register_blueprint(
        front_page.blueprint(callers, environment.service.app_name, sandbox=provider is not None)
    )
    if provider is not None:
        guard(app, callers, environment.local_url)
        phone = OutsidePhone(gateway.store, gateway.media, lambda: gateway.stopping)
        session = SandboxSession(gateway.store, gateway.settings)
        app.register_blueprint(
            page.blueprint(provider, session, phone, gateway.country, environment.service.app_name)
        )

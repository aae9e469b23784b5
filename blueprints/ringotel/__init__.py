"""Webhook of Ringotel's app: registers ``/webhook/ringotel/<secret>`` where it is configured."""

from flask import Flask

from blueprints.client_address import Callers
from blueprints.device_auth import DeviceAuth
from blueprints.ringotel import webhook
from blueprints.ringotel.inbox import Inbox
from services.gateway import Gateway
from services.push.ringotel.channel import Ringotel


def register(app: Flask, gateway: Gateway) -> None:
    """Add the webhook, if Ringotel is configured."""
    channel = gateway.channels.get(Ringotel.name)
    if not isinstance(channel, Ringotel):
        return
    inbox = Inbox(
        channel, gateway.store, gateway.media, gateway.uploads, gateway.composer, gateway.router
    )
    callers = Callers(gateway.environment.service.trusted_proxies or (), gateway.proxies)
    auth = DeviceAuth(gateway.store, gateway.token_throttle, callers)
    secret = webhook.webhook_secret(gateway.environment.app_key)
    app.register_blueprint(webhook.blueprint(channel, inbox, auth, secret))

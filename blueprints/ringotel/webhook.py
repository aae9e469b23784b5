"""Webhook of Ringotel: ``/webhook/ringotel/<secret>``, for what users of its app write.

Ringotel signs nothing: a call is proved by the secret in the address and by the API key in the
body.
"""

from typing import Any

import structlog
from flask import Blueprint, Response, jsonify

from blueprints.device_auth import DeviceAuth
from blueprints.errors import problem
from blueprints.request_body import whole_body
from blueprints.ringotel.inbox import Inbox
from services.config.environment import Environment
from services.config.keys import derived_token
from services.config.metrics import WEBHOOKS
from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.core.secrets import same_secret
from services.push.ringotel.channel import Ringotel
from services.push.ringotel.events import parse_event

log = structlog.get_logger()
MOST_BYTES = 64 * 1024


def blueprint(channel: Ringotel, inbox: Inbox, auth: DeviceAuth, expected: str) -> Blueprint:
    """The route; wrong secrets and keys are counted like wrong tokens."""
    routes = Blueprint("ringotel", __name__)

    @routes.post("/webhook/ringotel/<secret>")
    def receive(secret: str) -> Response:
        if not same_secret(secret, expected):
            auth.count_failure()
            return problem(404, "not_found", "There is nothing here.")
        try:
            event = _authentic_event(WebhookCall("POST", {}, "", whole_body(MOST_BYTES)), channel)
            outcome = inbox.take(parse_event(event))
        except InvalidWebhook as error:
            WEBHOOKS.labels(channel.name, "refused").inc()
            auth.count_failure()
            return problem(401, "unauthorized", str(error))
        except ValueError as error:
            WEBHOOKS.labels(channel.name, "unreadable").inc()
            log.warning("webhook", channel=channel.name, outcome="unreadable", reason=str(error))
            return problem(422, "unreadable", str(error))
        WEBHOOKS.labels(channel.name, outcome).inc()
        return jsonify({"result": outcome})

    return routes


def webhook_secret(app_key: bytes) -> str:
    """The secret in the webhook's address."""
    return derived_token(app_key, "webhook:ringotel")


def webhook_url(environment: Environment) -> str:
    """The address to paste at Ringotel, secret included."""
    return f"{environment.app_url}/webhook/ringotel/{webhook_secret(environment.app_key)}"


def _authentic_event(call: WebhookCall, channel: Ringotel) -> dict[str, Any]:
    """The event of an authentic call. Raises ``InvalidWebhook`` and ``ValueError``."""
    event = call.json()
    if not isinstance(event, dict):
        raise ValueError("The body is not an object.")
    if not same_secret(str(event.get("api_key") or ""), channel.settings.token):
        raise InvalidWebhook("The API key is missing or wrong.")
    params = event.get("params")
    if not isinstance(params, dict) or str(params.get("orgid")) != channel.settings.org_id:
        raise InvalidWebhook("That is another organization.")
    return event

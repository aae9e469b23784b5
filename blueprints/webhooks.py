"""The carriers' door: ``/webhook/<carrier>/sms``, one blueprint a carrier, all on the same road."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from blueprints.errors import problem
from services.errors import InvalidWebhook
from services.gateway import Gateway
from services.messages import WebhookCall
from services.providers.base import Provider


def blueprint(gateway: Gateway, provider: Provider) -> Blueprint:
    """The door of one carrier: verify, parse, keep, acknowledge."""
    door = Blueprint(f"webhook_{provider.name}", __name__, url_prefix=f"/webhook/{provider.name}")

    @door.route("/sms", methods=list(provider.methods))
    def receive() -> Response:
        try:
            ack = gateway.receive(provider, _call(provider.webhook_bytes))
        except InvalidWebhook as error:
            answer = problem(401, "unauthorized", str(error))
            answer.headers.update(provider.challenge)
            return answer
        return Response(ack.body, ack.status, content_type=ack.content_type)

    return door


def _call(most: int) -> WebhookCall:
    request.max_content_length = most
    body = request.get_data()
    if len(body) == most:  # of unknown length, and cut there
        raise RequestEntityTooLarge
    return WebhookCall(
        method=request.method,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=request.query_string.decode("latin-1"),
        body=body,
        remote=request.remote_addr or "",
    )

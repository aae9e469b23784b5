"""Webhooks of the carriers: ``/webhook/<carrier>/sms``, one blueprint for each carrier."""

from collections.abc import Sequence
from dataclasses import replace

from flask import Blueprint, Response, request

from blueprints.client_address import client_address
from blueprints.errors import problem
from blueprints.request_body import whole_body
from services.config.parsers import Network
from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.messaging.receive import Receiver
from services.providers.base import Provider


def blueprint(
    receiver: Receiver, provider: Provider, trusted_proxies: Sequence[Network]
) -> Blueprint:
    """The webhook of one carrier: check the head, read the body, verify, store, acknowledge."""
    routes = Blueprint(f"webhook_{provider.name}", __name__, url_prefix=f"/webhook/{provider.name}")

    @routes.route("/sms", methods=list(provider.methods))
    def receive() -> Response:
        head = WebhookCall(
            method=request.method,
            headers={name.lower(): value for name, value in request.headers.items()},
            query=request.query_string.decode("latin-1"),
            body=b"",
            remote=client_address(trusted_proxies),
        )
        try:
            receiver.check_head(provider, head)
            call = replace(head, body=whole_body(provider.most_body_bytes))
            ack = receiver.receive(provider, call)
        except InvalidWebhook as error:
            answer = problem(401, "unauthorized", str(error))
            answer.headers.update(provider.challenge)
            return answer
        return Response(ack.body, ack.status, content_type=ack.content_type)

    return routes

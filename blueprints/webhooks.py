"""Webhooks of the carriers: ``/webhook/<carrier>/sms``, one blueprint for each carrier."""

from dataclasses import replace

from flask import Blueprint, Flask, Response, request

from blueprints.client_address import Callers
from blueprints.errors import problem
from blueprints.request_body import whole_body
from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.messaging.receive import Receiver
from services.operations.stray_webhooks import StrayWebhooks
from services.providers.base import Provider
from services.store.database.time_limits import CALL_SECONDS, within


def blueprint(receiver: Receiver, provider: Provider, callers: Callers) -> Blueprint:
    """The webhook of one carrier: check the head, read the body, verify, store, acknowledge."""
    routes = Blueprint(f"webhook_{provider.name}", __name__, url_prefix="/webhook")

    def receive() -> Response:
        try:
            with within(CALL_SECONDS):
                head = provider.normalised(_head(callers))
                receiver.check_head(provider, head)
            call = replace(head, body=whole_body(provider.most_body_bytes))
            with within(CALL_SECONDS):
                ack = receiver.receive(provider, call)
        except InvalidWebhook as error:
            answer = problem(401, "unauthorized", str(error))
            answer.headers.update(provider.challenge)
            return answer
        return Response(ack.body, ack.status, content_type=ack.content_type)

    for name in (provider.name, *provider.aliases):
        routes.add_url_rule(f"/{name}/sms", view_func=receive, methods=list(provider.methods))
    return routes


def note_strays(app: Flask, strays: StrayWebhooks) -> None:
    """Note calls of webhooks that nobody serves: a carrier that is off, a misspelt address."""

    @app.after_request
    def note(response: Response) -> Response:
        if response.status_code == 404 and request.url_rule is None:
            strays.note(request.path)
        return response


def _head(callers: Callers) -> WebhookCall:
    return WebhookCall(
        method=request.method,
        headers={name.lower(): value for name, value in request.headers},
        query=request.query_string.decode("latin-1"),
        body=b"",
        remote=str(callers.caller().address or ""),
    )

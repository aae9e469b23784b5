"""Webhooks of the carriers: ``/webhook/<carrier>/sms``, one blueprint for each carrier."""

from dataclasses import replace

from flask import Blueprint, Flask, Response, jsonify, request

from blueprints.client_address import Callers
from blueprints.errors import problem
from blueprints.probe import is_probe
from blueprints.request_body import whole_body
from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.messaging.receive import Receiver
from services.operations.probe_key import ProbeKey
from services.operations.stray_webhooks import StrayWebhooks
from services.providers.base import Provider
from services.store.database.time_limits import CALL_SECONDS, within


def blueprint(
    receiver: Receiver, provider: Provider, callers: Callers, probes: ProbeKey | None = None
) -> Blueprint:
    """The webhook of one carrier: check the head, read the body, verify, store, acknowledge.

    A call of the doctor (``probes``) is verified in the same way, and neither stored nor noted.
    """
    routes = Blueprint(f"webhook_{provider.name}", __name__, url_prefix="/webhook")

    def receive() -> Response:
        try:
            if probes is not None and is_probe(probes):
                return _probed(provider, callers)
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


def _probed(provider: Provider, callers: Callers) -> Response:
    """Say whether a call of the doctor is proven; raises ``InvalidWebhook`` if it is not.

    The address of the caller, which is this machine, does not matter.
    """
    call = replace(provider.normalised(_head(callers)), body=whole_body(provider.most_body_bytes))
    provider.verify(call)
    return jsonify(probe="proven")


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

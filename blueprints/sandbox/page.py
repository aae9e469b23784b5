"""Routes of the sandbox: the page, its session, and the outside phone's messages."""

from flask import Blueprint, Response, abort, jsonify, make_response, render_template, request

from blueprints.headers import page_headers
from blueprints.sandbox.outside_phone import OutsidePhone
from blueprints.sandbox.session import EXTENSION, NUMBER, SandboxSession
from services.core.authors import named
from services.core.phone_numbers import peer, requested
from services.core.secrets import same_secret
from services.providers.base import Provider

PHONE = "+13035550177"
MOST_SECONDS = 25


def blueprint(
    provider: Provider,
    sessions: SandboxSession,
    outside: OutsidePhone,
    country: str,
    app_name: str,
) -> Blueprint:
    """The routes below ``/sandbox``; ``country`` is that of numbers without a country code."""
    routes = Blueprint(
        "sandbox",
        __name__,
        url_prefix="/sandbox",
        template_folder="templates",
        static_folder="static",
    )
    routes.after_request(page_headers())

    @routes.get("")
    def show() -> Response:
        values = {"number": NUMBER, "phone": PHONE, "extension": EXTENSION, "app_name": app_name}
        return make_response(render_template("sandbox.html", **values))

    @routes.post("/session")
    def session() -> Response:
        sessions.require_own_page()
        setting = sessions.setting()
        device, token = sessions.device(setting.extensions[0])
        return jsonify(
            number=setting.number,
            extension=device.extension,
            author=named(device.extension, sessions.names),
            token=token,
            webhook_token=provider.webhook_token,
            picture=f"{provider.app_url}/sandbox/static/bridge.jpg",
        )

    @routes.get("/phone")
    def phone() -> Response:
        _require_webhook_token(provider)
        number = requested(peer, request.args.get("number", ""), country, "number")
        since = min(max(request.args.get("since", 0, type=int), 0), 2**62)
        seconds = min(max(request.args.get("timeout", 0, type=int), 0), MOST_SECONDS)
        texts, reached = outside.news(number, since, seconds)
        return jsonify(number=number, texts=texts, next=reached)

    return routes


def _require_webhook_token(provider: Provider) -> None:
    offered = request.authorization
    if offered is None or not same_secret(offered.token or "", provider.webhook_token):
        abort(401, "The webhook's token is missing or wrong.")

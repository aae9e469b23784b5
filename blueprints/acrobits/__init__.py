"""Web services of Acrobits' apps: ``/acrobits/…``, one module for each call.

An app is an ordinary device; its password is the device's token. Answers are JSON, or XML where
the app asks for that; an error is a ``message`` that the app shows to its user.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response

from blueprints.acrobits.calls import Call, answer, read_call
from blueprints.acrobits.fetch import Fetch
from blueprints.acrobits.reports import Reports
from blueprints.acrobits.send import Send
from blueprints.client_address import Callers
from blueprints.device_auth import DeviceAuth
from blueprints.errors import retry_after
from services.core.errors import RequestRefused, StorageUnwell
from services.gateway import Gateway
from services.push.acrobits.channel import Acrobits

Work = Callable[[Call], dict[str, Any]]


def register(app: Flask, gateway: Gateway) -> None:
    """Add the calls."""
    store, media = gateway.store, gateway.media
    callers = Callers(gateway.environment.service.trusted_proxies or (), gateway.proxies)
    auth = DeviceAuth(store, gateway.token_throttle, callers)
    reports = Reports(store, gateway.channels[Acrobits.name], gateway.device_limits)
    calls: dict[str, Work] = {
        "send": Send(store, gateway.http, media, gateway.uploads, gateway.composer).send,
        "fetch": Fetch(store, gateway.access, media).fetch,
        "push-token": reports.report_token,
        "removed": reports.report_removal,
    }
    routes = Blueprint("acrobits", __name__, url_prefix="/acrobits")
    for name, work in calls.items():
        routes.add_url_rule(f"/{name}", name, _view(auth, work), methods=["GET", "POST"])
    app.register_blueprint(routes)


def _view(auth: DeviceAuth, work: Work) -> Callable[[], Response]:
    def view() -> Response:
        try:
            return answer(work(read_call(auth)))
        except RequestRefused as error:
            refused = answer({"message": error.reason}, error.status)
            refused.headers.update(retry_after(error))
            return refused
        except StorageUnwell:
            return answer({"message": "Nothing can be kept just now. Try again."}, 503)

    return view

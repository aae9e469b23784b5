"""The doors that Acrobits' apps call: ``/acrobits/…``, one module a call.

An app is an ordinary device; its password is the device's token. What an app is told is JSON, or
XML where it asks for that; what goes wrong is a ``message`` that the app shows to its user.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response

from blueprints.acrobits import fetch, reports, send
from blueprints.acrobits.calls import Call, answer, read_call
from blueprints.errors import retry_after
from services.core.errors import RequestRefused, StorageUnwell
from services.gateway import Gateway

CALLS: dict[str, Callable[[Gateway, Call], dict[str, Any]]] = {
    "send": send.send,
    "fetch": fetch.fetch,
    "push-token": reports.report_token,
    "removed": reports.report_removal,
}


def register(app: Flask, gateway: Gateway) -> None:
    """Open the doors."""
    door = Blueprint("acrobits", __name__, url_prefix="/acrobits")

    for name, work in CALLS.items():
        door.add_url_rule(f"/{name}", name, _view(gateway, work), methods=["GET", "POST"])
    app.register_blueprint(door)


def _view(
    gateway: Gateway, work: Callable[[Gateway, Call], dict[str, Any]]
) -> Callable[[], Response]:
    def view() -> Response:
        try:
            return answer(work(gateway, read_call(gateway)))
        except RequestRefused as error:
            refused = answer({"message": error.reason}, error.status)
            refused.headers.update(retry_after(error))
            return refused
        except StorageUnwell:
            return answer({"message": "Nothing can be kept just now. Try again."}, 503)

    return view

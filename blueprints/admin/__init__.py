"""``/admin``: the operator's pages, drawn on the server.

Each page is a module that opens its own routes; who may see them is decided once, in ``access.py``.
"""

from flask import Blueprint, Flask

from blueprints.admin import (
    access,
    activity,
    carriers,
    devices,
    formats,
    given_up,
    message,
    messages,
    quarantine,
    refusals,
    settings,
    start,
    unrouted,
)
from blueprints.headers import page_headers
from services.gateway import Gateway

PAGES = (
    start,
    messages,
    message,
    given_up,
    unrouted,
    quarantine,
    settings,
    carriers,
    devices,
    activity,
)


def register(app: Flask, gateway: Gateway) -> None:
    """Open the doors of the operator."""
    door = Blueprint(
        "admin",
        __name__,
        url_prefix="/admin",
        template_folder="templates",
        static_folder="static",
    )
    formats.teach(door)
    access.guard(door, gateway)
    refusals.answer(door)
    for one in PAGES:
        one.open_pages(door, gateway)
    # Browsers tell the origin of a form only where pages may say where they come from.
    headers = page_headers(own=("form-action",), cache="no-store", referrer="same-origin")
    door.after_request(headers)
    app.register_blueprint(door)

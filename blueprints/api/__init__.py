"""``/api/v1``: the door of the mobile app."""

import json
from functools import cache, partial
from typing import Any

from flask import Flask, Response, request

from blueprints.api import (
    auth,
    contacts,
    conversations,
    devices,
    events,
    me,
    media,
    message_settings,
    messages,
    search,
)
from blueprints.api.declare import Document
from services.config.version import version
from services.gateway import Gateway

ABOUT = """SMS and MMS for one extension of a PBX.

Pair a device (`POST /api/v1/pair`), keep its token, then read conversations, send messages and
follow what happens by `sync` or `events`. Times are RFC 3339 in UTC. Every error is
`application/problem+json` with a stable `code`."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

RESOURCES = (
    devices,
    me,
    conversations,
    messages,
    search,
    contacts,
    media,
    events,
    message_settings,
)


def register(app: Flask, gateway: Gateway) -> None:
    """Open the API's door."""
    app.before_request(partial(auth.admit, gateway))
    app.after_request(_guarded)
    for resource in RESOURCES:
        app.register_blueprint(resource.door)
    _serve(app)


def _serve(app: Flask) -> None:
    def openapi() -> Response:
        return Response(_document(), mimetype="application/json")

    openapi_view: Any = openapi
    openapi_view.auth = auth.Auth.ANYBODY
    app.add_url_rule(f"{auth.PREFIX}/openapi.json", "openapi", openapi_view)


@cache
def _document() -> str:
    """Made when somebody first asks for it: at start it would cost every process 4 MB."""
    document = Document(
        Flask(__name__, static_folder=None),
        spec_kwargs={
            "title": "Textbridge",
            "version": version(),
            "openapi_version": "3.1.0",
            "info": {"description": ABOUT},
        },
    )
    for resource in RESOURCES:
        document.register_blueprint(resource.door)
    return json.dumps(document.spec.to_dict(), indent=1)


def _guarded(answer: Response) -> Response:
    """No answer of the API is kept, guessed at or named to others, unless it says otherwise."""
    if request.path.startswith(f"{auth.PREFIX}/"):
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
    return answer

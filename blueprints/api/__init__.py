"""REST API of the mobile apps: ``/api/v1``."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from flask import Flask, Response, request
from flask_smorest import Blueprint

from blueprints.admin_access import AdminAccess
from blueprints.api.auth import PREFIX, ApiAuth, Auth
from blueprints.api.bulk_sends import BulkSends
from blueprints.api.changes import ChangeLog
from blueprints.api.contacts import Contacts
from blueprints.api.conversation_marks import ConversationMarks
from blueprints.api.conversations import Conversations
from blueprints.api.declare import Document
from blueprints.api.deletions import Deletions
from blueprints.api.devices import Devices
from blueprints.api.events import Events
from blueprints.api.extensions import Extensions
from blueprints.api.me import Me
from blueprints.api.media import Media
from blueprints.api.message_settings import Settings
from blueprints.api.messages import Messages
from blueprints.api.opt_outs import ConversationConsents
from blueprints.api.page import blueprint as page_blueprint
from blueprints.api.scheduled import ScheduledMessages
from blueprints.api.search import Search
from blueprints.api.templates import Templates
from blueprints.device_auth import DeviceAuth
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


def register(app: Flask, gateway: Gateway) -> None:
    """Add the API."""
    environment, store, access = gateway.environment, gateway.store, gateway.access
    media, limits = gateway.media, gateway.device_limits
    admin_access = AdminAccess(gateway.admin_auth, environment.service, gateway.proxies)
    auth = ApiAuth(
        DeviceAuth(store, gateway.token_throttle, admin_access.callers),
        admin_access,
        environment.app_key,
    )
    consent = gateway.consent
    resources = (
        Devices(
            store,
            gateway.channels,
            gateway.push_delivery,
            gateway.pairing_throttle,
            limits,
            admin_access.callers,
        ),
        Me(
            store,
            gateway.settings,
            access,
            gateway.providers,
            gateway.vapid,
            environment.service.allow_delete,
            gateway.country,
        ),
        Extensions(gateway.settings, access),
        Conversations(
            store,
            access,
            media,
            gateway.router,
            limits,
            gateway.country,
            consent,
            gateway.assignments,
        ),
        ConversationConsents(store, access, consent, limits),
        ConversationMarks(store, access, limits),
        Messages(store, access, media, gateway.composer),
        ScheduledMessages(store, access, media, gateway.scheduling),
        Deletions(gateway.deleting, gateway.scheduling, media),
        BulkSends(store, gateway.bulk_sending),
        Search(store, access, media, limits),
        Contacts(store, gateway.contact_book, limits),
        Templates(store, gateway.settings, access, gateway.country),
        Media(store, access, media, gateway.uploads, gateway.thumbnails),
        Events(ChangeLog(store, access, media), auth, store.notifier, lambda: gateway.stopping),
        Settings(gateway.settings, gateway.rule_warnings),
    )
    app.before_request(auth.admit)
    app.after_request(_with_headers)
    blueprints = [resource.blueprint() for resource in resources]
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    _serve_document(app, blueprints)
    app.register_blueprint(page_blueprint(environment.service.app_name))


def _serve_document(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    @cache  # made by the first request: at start it would cost every process 4 MB
    def document() -> str:
        openapi = Document(
            Flask(__name__, static_folder=None),
            spec_kwargs={
                "title": "Textbridge",
                "version": version(),
                "openapi_version": "3.1.0",
                "info": {"description": ABOUT},
            },
        )
        for blueprint in blueprints:
            openapi.register_blueprint(blueprint)
        return json.dumps(openapi.spec.to_dict(), indent=1)

    def show() -> Response:
        return Response(document(), mimetype="application/json")

    view: Any = show
    view.auth = Auth.ANYBODY
    app.add_url_rule(f"{PREFIX}/openapi.json", "openapi", view)


def _with_headers(answer: Response) -> Response:
    """Add the headers against caching, content sniffing and referrers, unless they are set."""
    if request.path.startswith(f"{PREFIX}/"):
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
    return answer

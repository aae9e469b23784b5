"""Authentication of the API: a device by its token or a ticket, or the operator by Basic.

Each route declares who is admitted; a route that declares nothing admits nobody.
"""

import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from enum import StrEnum
from typing import NoReturn, cast
from uuid import UUID

from flask import current_app, g, request
from sqlalchemy import Connection
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from blueprints.admin_access import USER, AdminAccess
from blueprints.device_auth import DeviceAuth
from services.config.keys import derive
from services.core.errors import RequestRefused
from services.core.messages import Device
from services.core.phone_numbers import e164, requested
from services.core.secrets import same_secret
from services.message_settings import NumberSetting
from services.messaging.access import ConversationAccess
from services.store import conversations
from services.store.conversations import Conversation

PREFIX = "/api/v1"
TICKET_SECONDS = 60


class Auth(StrEnum):
    """Who is admitted to a route."""

    ANYBODY = "anybody"
    DEVICE = "device"  # Authorization: Bearer <token>
    OPERATOR = "operator"  # HTTP Basic with ADMIN_PASSWORD, from where ADMIN_ALLOW allows it
    STREAM = "stream"  # the same, or ?ticket=<ticket>: browsers' EventSource sends no headers


class ApiAuth:
    """Admits requests to the API, and issues tickets for the live stream."""

    def __init__(self, devices: DeviceAuth, access: AdminAccess, app_key: bytes) -> None:
        self._devices = devices
        self._access = access
        self._app_key = app_key
        self._checks = {Auth.DEVICE: self._by_header, Auth.STREAM: self._by_header_or_ticket}

    def admit(self) -> None:
        """Let a request to the API pass, or answer 401. Runs before every request of the app."""
        if not request.path.startswith(f"{PREFIX}/"):
            return
        view = current_app.view_functions.get(request.endpoint or "")
        if view is None:
            return  # the router answers 404 or 405
        declared = getattr(view, "auth", None)
        if declared is Auth.OPERATOR:
            self._require_operator()
        elif declared is not Auth.ANYBODY:
            g.device = self._checks[declared]() if declared in self._checks else refuse()

    def ticket(self, device_id: str) -> str:
        """A text with which a device may open the live stream within the next minute."""
        claim = f"{device_id}.{int(time.time()) + TICKET_SECONDS}"
        return f"{claim}.{self._signature(claim)}"

    def _require_operator(self) -> None:
        self._access.require_allowed_address()
        if not self._access.has_password:
            raise Forbidden(f"Set ADMIN_PASSWORD in .env, then sign in as {USER} (HTTP Basic).")
        if not self._access.is_operator():
            challenge = WWWAuthenticate("basic", {"realm": "Textbridge", "charset": "UTF-8"})
            raise Unauthorized(
                f"Sign in as {USER} with ADMIN_PASSWORD (HTTP Basic).", www_authenticate=challenge
            )

    def _by_header(self) -> Device:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            refuse()
        return self._seen(self._devices.by_token(token.strip()))

    def _by_header_or_ticket(self) -> Device:
        offered = request.args.get("ticket")
        if offered is None:
            return self._by_header()
        claim, _, signature = offered.rpartition(".")
        if not same_secret(signature, self._signature(claim)):
            self._refuse_wrong()
        device_id, _, expires = claim.partition(".")
        if time.time() > int(expires):
            self._refuse_wrong()
        return self._seen(self._devices.by_id(device_id))

    def _seen(self, device: Device | None) -> Device:
        return self._devices.seen(device) if device is not None else self._refuse_wrong()

    def _refuse_wrong(self) -> NoReturn:
        """Refuse a wrong token or ticket, and count it."""
        self._devices.count_failure()
        refuse("invalid_token")

    def _signature(self, claim: str) -> str:
        key = derive(self._app_key, "events-ticket:" + claim)
        return urlsafe_b64encode(key[:24]).decode()


def caller() -> Device:
    """The device that makes this request."""
    return cast(Device, g.device)


def numbers(access: ConversationAccess) -> dict[str, NumberSetting]:
    """The numbers whose conversations the caller may have at this moment, its default first."""
    return {setting.number: setting for setting in access.numbers(caller().extension)}


def own_number(own: Mapping[str, NumberSetting], written: str, country: str, field: str) -> str:
    """One of the caller's ``numbers``, written any usual way.

    Raises ``RequestRefused`` (``invalid_number``, ``number_not_yours``) that names ``field``.
    """
    number = requested(e164, written, country, field)
    if number not in own:
        raise RequestRefused(
            "number_not_yours", f"{number} is not a number of yours.", field=field, status=403
        )
    return number


def own_conversation(
    tx: Connection, own: Mapping[str, NumberSetting], conversation_id: UUID | str
) -> Conversation:
    """A conversation of one of the caller's ``numbers``. Raises ``RequestRefused`` (404)."""
    found = conversations.by_id(tx, str(conversation_id), own)
    if found is None:
        raise RequestRefused("not_found", "There is no such conversation.", status=404)
    return found


def refuse(error: str = "") -> NoReturn:
    """The 401 of RFC 6750 §3; the same words whatever is wrong with a token."""
    challenge = {"realm": "textbridge"} | ({"error": error} if error else {})
    raise Unauthorized(
        "Send the token that this device got when it was paired as “Authorization: Bearer …”. "
        "If it is refused, pair the device again.",
        www_authenticate=WWWAuthenticate("bearer", cast(dict[str, str | None], challenge)),
    )

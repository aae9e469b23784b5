"""Who may call the API: a paired device with its token, or for the live stream with a ticket.

For a few calls it is the operator instead.

Every route declares whom it admits; one that declares nothing admits nobody.
"""

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import NoReturn, cast

from flask import current_app, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from blueprints.admin_access import USER, is_operator, require_allowed_address
from blueprints.webhooks import address
from services.config.keys import derive
from services.core.errors import StorageUnwell
from services.core.messages import Device
from services.gateway import Gateway
from services.message_settings import NumberSetting
from services.providers.base import same
from services.store import devices

PREFIX = "/api/v1"
TICKET_SECONDS = 60
SEEN_SECONDS = 60.0


class Auth(StrEnum):
    """Whom a route admits."""

    ANYBODY = "anybody"
    DEVICE = "device"  # Authorization: Bearer <token>
    OPERATOR = "operator"  # HTTP Basic with ADMIN_PASSWORD, from where ADMIN_ALLOW allows it
    STREAM = "stream"  # the same, or ?ticket=<ticket>: browsers' EventSource sends no headers


def admit(gateway: Gateway) -> None:
    """Let a call to the API pass, or answer 401. Runs before every request of the application."""
    if not request.path.startswith(f"{PREFIX}/"):
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None:
        return  # the router answers 404 or 405
    g.gateway = gateway
    declared = getattr(view, "auth", None)
    if declared is Auth.OPERATOR:
        _require_operator(gateway)
    elif declared is not Auth.ANYBODY:
        g.device = CHECKS[declared](gateway) if declared in CHECKS else refuse()


def house() -> Gateway:
    """The gateway that serves this call."""
    return cast(Gateway, g.gateway)


def caller() -> Device:
    """The device that calls."""
    return cast(Device, g.device)


def numbers() -> dict[str, NumberSetting]:
    """The caller's numbers as Message Settings have them at this moment, its default first."""
    settings = house().settings.for_extension(caller().extension)
    return {setting.number: setting for setting in settings}


def ticket(gateway: Gateway, device_id: str) -> str:
    """A text with which a device may open the live stream within the next minute."""
    claim = f"{device_id}.{int(time.time()) + TICKET_SECONDS}"
    return f"{claim}.{_signature(gateway, claim)}"


def _require_operator(gateway: Gateway) -> None:
    require_allowed_address(gateway)
    if gateway.environment.service.admin_password is None:
        raise Forbidden(f"Set ADMIN_PASSWORD in .env, then sign in as {USER} (HTTP Basic).")
    if not is_operator(gateway):
        challenge = WWWAuthenticate("basic", {"realm": "Textbridge", "charset": "UTF-8"})
        raise Unauthorized(
            f"Sign in as {USER} with ADMIN_PASSWORD (HTTP Basic).", www_authenticate=challenge
        )


def _by_header(gateway: Gateway) -> Device:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        refuse()
    device = gateway.store.read(lambda tx: devices.by_token(tx, token.strip()))
    return seen(gateway, device) if device is not None else _wrong(gateway)


def _by_header_or_ticket(gateway: Gateway) -> Device:
    offered = request.args.get("ticket")
    if offered is None:
        return _by_header(gateway)
    claim, _, signature = offered.rpartition(".")
    if not same(signature, _signature(gateway, claim)):
        _wrong(gateway)
    device_id, _, expires = claim.partition(".")
    if time.time() > int(expires):
        _wrong(gateway)
    device = gateway.store.read(lambda tx: devices.by_id(tx, device_id))
    return seen(gateway, device) if device is not None else _wrong(gateway)


def _wrong(gateway: Gateway) -> NoReturn:
    """Refuse a wrong token; whoever offers many has to wait for the next refusal."""
    count_wrong(gateway)
    refuse("invalid_token")


def count_wrong(gateway: Gateway) -> None:
    """Count a wrong token. Raises ``RequestRefused`` where there were too many.

    Only wrong ones are counted, after the look: nobody guesses a token, and nobody shuts anybody
    else out by failing. A full disk changes nothing about a refusal.
    """
    with suppress(StorageUnwell):
        gateway.token_throttle.spend(address(gateway))


CHECKS: dict[Auth, Callable[[Gateway], Device]] = {
    Auth.DEVICE: _by_header,
    Auth.STREAM: _by_header_or_ticket,
}


def _signature(gateway: Gateway, claim: str) -> str:
    key = derive(gateway.environment.app_key, "events-ticket:" + claim)
    return urlsafe_b64encode(key[:24]).decode()


def seen(gateway: Gateway, device: Device) -> Device:
    """Note the call, at most once a minute; a full disk keeps nobody from reading."""
    now = time.time()
    if device.seen_at is None or device.seen_at < now - SEEN_SECONDS:
        with suppress(StorageUnwell):
            gateway.store.write(lambda tx: devices.seen(tx, device.id, now))
    return device


def refuse(error: str = "") -> NoReturn:
    """The 401 of RFC 6750 §3; the same words whatever is wrong with a token."""
    challenge = {"realm": "textbridge"} | ({"error": error} if error else {})
    raise Unauthorized(
        "Send the token that this device got when it was paired as “Authorization: Bearer …”. "
        "If it is refused, pair the device again.",
        www_authenticate=WWWAuthenticate("bearer", cast(dict[str, str | None], challenge)),
    )

"""The sandbox's page, its session, and what its phone outside has sent and received."""

import time
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, jsonify, make_response, render_template, request

from blueprints.headers import page_headers
from services.core.errors import NumberError, RequestRefused
from services.core.messages import Device, Message
from services.core.phone_numbers import peer
from services.gateway import Gateway
from services.message_settings import NumberSetting
from services.providers.base import Provider, same
from services.store import devices, messages

NUMBER = "+12025550100"
EXTENSION = "201"
PHONE = "+13035550177"
DEVICE = "Sandbox"
MOST_BYTES = 10_000
MOST_SECONDS = 25
PAGE = 200


def blueprint(gateway: Gateway, provider: Provider) -> Blueprint:
    """The door ``/sandbox``."""
    door = Blueprint(
        "sandbox",
        __name__,
        url_prefix="/sandbox",
        template_folder="templates",
        static_folder="static",
    )
    door.after_request(page_headers())

    @door.get("")
    def show() -> Response:
        words = {"number": NUMBER, "phone": PHONE, "extension": EXTENSION}
        return make_response(render_template("sandbox.html", **words))

    @door.post("/session")
    def session() -> Response:
        _require_own_page(gateway)
        setting = _setting(gateway)
        device, token = _device(gateway, setting.extensions[0], _offered_token())
        return jsonify(
            number=setting.number,
            extension=device.extension,
            token=token,
            webhook_token=provider.webhook_token,
            picture=f"{provider.app_url}/sandbox/static/bridge.jpg",
        )

    @door.get("/phone")
    def phone() -> Response:
        _require_webhook_token(provider)
        try:
            number = peer(request.args.get("number", ""), gateway.country)
        except NumberError as error:
            raise RequestRefused("invalid_number", str(error), field="number") from None
        since = min(max(request.args.get("since", 0, type=int), 0), 2**62)
        seconds = min(max(request.args.get("timeout", 0, type=int), 0), MOST_SECONDS)
        texts, reached = _news(gateway, number, since, seconds)
        seen = [_as_the_phone_sees(gateway, text) for text in texts]
        return jsonify(number=number, texts=seen, next=reached)

    return door


# The session: only this page may ask for one, since it comes with a device's token.


def _require_own_page(gateway: Gateway) -> None:
    request.max_content_length = MOST_BYTES
    if not request.is_json:
        abort(415, "Send JSON.")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:  # browsers tell it to https and to this machine only
        own = urlsplit(request.headers.get("Origin", "")).netloc == request.host
    else:
        own = site == "same-origin"
    if not own:
        abort(403, "Only the sandbox's own page may do this.")
    if not _is_our_name(urlsplit(f"//{request.host}").hostname or "", gateway):
        abort(403, "Open the sandbox by this machine's address, or set APP_URL to this name.")


def _is_our_name(host: str, gateway: Gateway) -> bool:
    """Whether nobody else can have given us this name: a foreign one may stand for a foreign page
    whose address was pointed at this machine."""
    if host in ("localhost", urlsplit(gateway.environment.app_url).hostname):
        return True
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _offered_token() -> str:
    body = request.get_json()
    token = body.get("token") if isinstance(body, dict) else None
    return token if isinstance(token, str) and token.isascii() else ""


def _setting(gateway: Gateway) -> NumberSetting:
    """The entry of the sandbox's number in Message Settings, written if there is none."""
    setting = gateway.settings.for_number(NUMBER)
    if setting is None:
        return gateway.settings.put(
            {
                "number": NUMBER,
                "carrier": "sandbox",
                "extensions": [EXTENSION],
                "description": "Sandbox",
            }
        )
    if setting.carrier != "sandbox" or not setting.enabled or not setting.extensions:
        raise RequestRefused(
            "number_taken",
            f"Message Settings use {NUMBER} for something else. The sandbox needs it enabled, with "
            "the carrier sandbox and an extension.",
            status=409,
        )
    return setting


def _device(gateway: Gateway, extension: str, token: str) -> tuple[Device, str]:
    """The device of a token that the page has kept, or a new one."""
    known = gateway.store.read(lambda tx: devices.by_token(tx, token))
    if known is not None and known.extension == extension:
        return known, token
    return gateway.store.write(lambda tx: devices.add(tx, extension, DEVICE, platform="web"))


# The phone outside


def _require_webhook_token(provider: Provider) -> None:
    offered = request.authorization
    if offered is None or not same(offered.token or "", provider.webhook_token):
        abort(401, "The webhook's token is missing or wrong.")


def _news(gateway: Gateway, phone: str, since: int, seconds: int) -> tuple[list[Message], int]:
    """What a phone has sent or received since a change; waits for it up to some seconds."""
    notifier = gateway.store.notifier
    end = time.monotonic() + seconds
    while True:
        rung = notifier.subscribe()
        look = partial(messages.changed_since, numbers=[NUMBER], changed=since, limit=PAGE)
        changes = gateway.store.read(look)
        since = changes[-1][0] if changes else since
        texts = [message for _, message in changes if phone in message.recipients]
        left = end - time.monotonic()
        if texts or left <= 0 or gateway.stopping:
            return texts, since
        if not changes:
            notifier.wait(left, rung)


def _as_the_phone_sees(gateway: Gateway, message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "sent": message.direction == "in",
        "reference": message.provider_id,
        "text": message.text,
        "status": str(message.status),
        "at": message.created_at,
        "media": [
            {
                "content_type": file.content_type,
                "state": file.state,
                "url": gateway.media.link(file) if file.state == "kept" else None,
            }
            for file in message.media
        ],
    }

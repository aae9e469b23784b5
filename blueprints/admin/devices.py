"""Device pages: the apps of each extension, how they are reached, and how new ones are paired."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import segno
from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.page import Pages, redirect_to
from services.core.authors import with_name
from services.core.messages import Device
from services.delivery.push_delivery import PushDelivery
from services.message_settings import EXTENSION, MessageSettings
from services.messaging.access import ConversationAccess
from services.push.acrobits import account
from services.push.base import Channel
from services.store import devices
from services.store.database.store import Store

PAGE = 50
NEWEST = 3
MOST_NAME = 80
NO_EXTENSION = "An extension has up to 32 letters, digits or . _ * + -"
NO_NAME = f"Give it a name of up to {MOST_NAME} characters, such as “Ann’s phone”."
KINDS = (
    ("phone", "The phone app, by QR code or link"),
    ("acrobits", "Groundwire or Cloud Softphone"),
    ("server", "A server or another app, by token"),
)


class DevicePages:
    """Lists devices, pairs new ones, tests and revokes them."""

    def __init__(
        self,
        pages: Pages,
        store: Store,
        settings: MessageSettings,
        access: ConversationAccess,
        channels: Mapping[str, Channel],
        push_delivery: PushDelivery,
        app_url: str,
        *,
        has_public_address: bool,
    ) -> None:
        """``has_public_address``: APP_URL is set, and ``app_url`` not this machine's own."""
        self._pages = pages
        self._store = store
        self._settings = settings
        self._access = access
        self._channels = channels
        self._push_delivery = push_delivery
        self._app_url = app_url
        self._has_public_address = has_public_address

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/devices``."""
        routes.get("/devices", endpoint="devices")(self.overview)
        routes.get("/devices/pair", endpoint="devices_pair")(self.pair_form)
        routes.post("/devices/pair", endpoint="devices_pair_now")(self.pair_now)
        routes.post("/devices/<device_id>/test", endpoint="devices_test")(self.test)
        routes.post("/devices/<device_id>/revoke", endpoint="devices_revoke")(self.revoke)

    def overview(self) -> Response:
        """The table of devices, page by page."""
        extension = request.args.get("extension", "").strip()
        found = self._store.read(
            lambda tx: devices.page(tx, extension, request.args.get("after", ""), PAGE + 1)
        )
        shown = found[:PAGE]
        after = shown[-1].id if found[PAGE:] else None
        return self._pages.render(
            "devices.html",
            devices=shown,
            extension=extension,
            channels=self._channels,
            more=after and url_for("admin.devices", extension=extension or None, after=after),
        )

    def pair_form(self) -> Response:
        """The form for pairing."""
        given = {"kind": "phone", "extension": request.args.get("extension", ""), "name": ""}
        return self._pair(given)

    def pair_now(self) -> Response:
        """Make a code or a token, and show it once."""
        asked = {
            field: request.form.get(field, "").strip() for field in ("kind", "extension", "name")
        }
        problems = _problems(asked)
        if problems:
            return self._pair(asked, 422, problems=problems)
        return self._pair(asked, made=self._made(asked))

    def test(self, device_id: str) -> Response:
        """Push a test notification to a device."""
        outcome, detail = self._push_delivery.test(self._device(device_id))
        self._pages.set_notice(detail, bad=outcome != "taken")
        return _back()

    def revoke(self, device_id: str) -> Response:
        """Refuse a device from now on."""
        device = self._device(device_id)
        self._store.write(partial(devices.revoke, device_id=device.id))
        whose = with_name(device.extension, self._settings.names)
        self._pages.set_notice(f"{device.name} of {whose} is refused from now on.")
        return _back()

    def _device(self, device_id: str) -> Device:
        found = self._store.read(lambda tx: devices.by_id(tx, device_id))
        return found if found is not None else abort(404)

    def _made(self, asked: dict[str, str]) -> dict[str, Any]:
        """The new code or token of a device, which is shown once."""
        extension, url = asked["extension"], self._app_url
        if asked["kind"] == "phone":
            code = self._store.write(lambda tx: devices.add_pairing(tx, extension))
            # After the #: a browser sends that part to no server, so the code is in no log.
            link = f"{url}/phone/#code={code}"
            picture = segno.make_qr(link).svg_data_uri(scale=5, border=4, light="#fff")
            return {"code": code, "link": link, "picture": picture}
        platform = "Acrobits" if asked["kind"] == "acrobits" else ""
        device, token = self._store.write(
            lambda tx: devices.add(tx, extension, asked["name"], platform=platform)
        )
        if platform:
            return {"device": device, "account": account.account(url, extension, token)}
        return {"device": device, "token": token, "url": url}

    def _pair(
        self,
        asked: dict[str, str],
        status: int = 200,
        *,
        problems: dict[str, str] | None = None,
        made: dict[str, Any] | None = None,
    ) -> Response:
        entries = self._settings.all()
        return self._pages.render(
            "pair.html",
            status,
            asked=asked,
            problems=problems or {},
            made=made,
            kinds=KINDS,
            extensions=sorted({extension for entry in entries for extension in entry.extensions}),
            numbers=self._access.numbers(asked["extension"]),
            minutes=int(devices.PAIRING_SECONDS / 60),
            newest=self._store.read(lambda tx: devices.newest(tx, NEWEST)),
            reachable=self._has_public_address,
            secure=self._app_url.startswith("https://"),
        )


def _back() -> Response:
    return redirect_to("admin.devices", extension=request.args.get("extension"))


def _problems(asked: dict[str, str]) -> dict[str, str]:
    """What is wrong with a form, by field."""
    problems = {}
    if asked["kind"] not in dict(KINDS):
        problems["kind"] = "Choose one of these."
    if not EXTENSION.fullmatch(asked["extension"]):
        problems["extension"] = NO_EXTENSION
    if asked["kind"] != "phone" and not 0 < len(asked["name"]) <= MOST_NAME:
        problems["name"] = NO_NAME
    return problems

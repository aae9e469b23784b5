"""The devices: the apps of each extension, how they are reached, and how new ones are paired."""

from functools import partial
from typing import Any

import segno
from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.page import onward, render
from blueprints.admin.session import tell
from services.core.messages import Device
from services.gateway import Gateway
from services.message_settings import EXTENSION
from services.push.acrobits import account
from services.store import devices

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


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/devices``."""

    @door.get("/devices", endpoint="devices")
    def overview() -> Response:
        extension = request.args.get("extension", "").strip()
        found = gateway.store.read(
            lambda tx: devices.page(tx, extension, request.args.get("after", ""), PAGE + 1)
        )
        shown = found[:PAGE]
        after = shown[-1].id if found[PAGE:] else None
        return render(
            "devices.html",
            devices=shown,
            extension=extension,
            channels=gateway.channels,
            more=after and url_for("admin.devices", extension=extension or None, after=after),
        )

    @door.get("/devices/pair", endpoint="devices_pair")
    def pair_form() -> Response:
        given = {"kind": "phone", "extension": request.args.get("extension", ""), "name": ""}
        return _pair(gateway, given)

    @door.post("/devices/pair", endpoint="devices_pair_now")
    def pair_now() -> Response:
        asked = {
            field: request.form.get(field, "").strip() for field in ("kind", "extension", "name")
        }
        problems = _problems(asked)
        if problems:
            return _pair(gateway, asked, 422, problems=problems)
        return _pair(gateway, asked, made=_made(gateway, asked))

    @door.post("/devices/<device_id>/test", endpoint="devices_test")
    def test(device_id: str) -> Response:
        outcome, said = gateway.push_delivery.test(_device(gateway, device_id))
        tell(said, bad=outcome != "taken")
        return _back()

    @door.post("/devices/<device_id>/revoke", endpoint="devices_revoke")
    def revoke(device_id: str) -> Response:
        device = _device(gateway, device_id)
        gateway.store.write(partial(devices.revoke, device_id=device.id))
        tell(f"{device.name} of {device.extension} is refused from now on.")
        return _back()


def _device(gateway: Gateway, device_id: str) -> Device:
    found = gateway.store.read(lambda tx: devices.by_id(tx, device_id))
    return found if found is not None else abort(404)


def _back() -> Response:
    return onward("admin.devices", extension=request.args.get("extension"))


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


def _made(gateway: Gateway, asked: dict[str, str]) -> dict[str, Any]:
    """What was made for a device, to be shown this once."""
    extension, url = asked["extension"], gateway.environment.app_url
    if asked["kind"] == "phone":
        code = gateway.store.write(lambda tx: devices.add_pairing(tx, extension))
        # Behind the #: a browser tells that part to no server, so the code stands in no log.
        link = f"{url}/phone/#code={code}"
        picture = segno.make_qr(link).svg_data_uri(scale=5, border=4, light="#fff")
        return {"code": code, "link": link, "picture": picture}
    platform = "Acrobits" if asked["kind"] == "acrobits" else ""
    device, token = gateway.store.write(
        lambda tx: devices.add(tx, extension, asked["name"], platform=platform)
    )
    if platform:
        return {"device": device, "account": account.account(url, extension, token)}
    return {"device": device, "token": token, "url": url}


def _pair(
    gateway: Gateway,
    asked: dict[str, str],
    status: int = 200,
    *,
    problems: dict[str, str] | None = None,
    made: dict[str, Any] | None = None,
) -> Response:
    entries = gateway.settings.all()
    return render(
        "pair.html",
        status,
        asked=asked,
        problems=problems or {},
        made=made,
        kinds=KINDS,
        extensions=sorted({extension for entry in entries for extension in entry.extensions}),
        numbers=gateway.settings.for_extension(asked["extension"]),
        minutes=int(devices.PAIRING_SECONDS / 60),
        newest=gateway.store.read(lambda tx: devices.newest(tx, NEWEST)),
        reachable=gateway.environment.service.app_url is not None,
        secure=gateway.environment.app_url.startswith("https://"),
    )

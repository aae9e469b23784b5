"""Pairing, and the devices of an extension."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, house
from blueprints.api.door import Door
from blueprints.api.schemas import (
    DeviceListSchema,
    DeviceSchema,
    PairedSchema,
    PairSchema,
    RenameSchema,
)
from services.errors import RequestRefused
from services.messages import Device, rfc3339
from services.store import devices

door = Door("devices", "Pairing, and the devices of the extension")


@door.call(
    "POST", "/pair", Auth.ANYBODY, json=PairSchema, answers={201: PairedSchema}, refuses=[403]
)
def pair(asked: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Pair a device with a code of the operator's.

    A code is good once and for ten minutes. The token is shown this once; it is good until the
    device is revoked.
    """
    wanted = asked["device"]
    platform = f"{wanted['platform']} {wanted['app_version']}".strip()

    def work(tx: Connection) -> tuple[Device, str]:
        extension = devices.use_pairing(tx, asked["code"])
        if extension is None:
            raise RequestRefused(
                "wrong_code",
                "This code is wrong, used or too old. Ask the operator for a new one.",
                field="code",
                status=403,
            )
        return devices.add(tx, extension, wanted["name"], platform=platform)

    device, token = house().store.write(work)
    return {"device_id": device.id, "token": token, "extension": device.extension}, 201


@door.call("GET", "/devices", Auth.DEVICE, answers={200: DeviceListSchema})
def list_devices() -> dict[str, Any]:
    """The devices of the extension, oldest first."""
    found = house().store.read(lambda tx: devices.of(tx, [caller().extension]))
    return {"items": [device_object(device) for device in found]}


@door.call(
    "PUT",
    "/devices/<uuid:device_id>",
    Auth.DEVICE,
    json=RenameSchema,
    answers={200: DeviceSchema},
    refuses=[404],
)
def rename_device(asked: dict[str, Any], device_id: UUID) -> dict[str, Any]:
    """Rename a device of the extension."""

    def work(tx: Connection) -> Device:
        _own(tx, device_id)
        devices.rename(tx, str(device_id), asked["name"])
        return _own(tx, device_id)

    return device_object(house().store.write(work))


@door.call("DELETE", "/devices/<uuid:device_id>", Auth.DEVICE, answers={204: None}, refuses=[404])
def revoke_device(device_id: UUID) -> tuple[str, int]:
    """Revoke a device of the extension: its token is refused from now on, its streams end."""

    def work(tx: Connection) -> None:
        devices.revoke(tx, _own(tx, device_id).id)

    house().store.write(work)
    return "", 204


def device_object(device: Device) -> dict[str, Any]:
    """A device as its extension sees it."""
    return {
        "id": device.id,
        "name": device.name,
        "platform": device.platform,
        "channel": device.channel,
        "created_at": rfc3339(device.created_at),
        "seen_at": rfc3339(device.seen_at) if device.seen_at is not None else None,
        "current": device.id == caller().id,
    }


def _own(tx: Connection, device_id: UUID) -> Device:
    device = devices.by_id(tx, str(device_id))
    if device is None or device.extension != caller().extension:
        raise RequestRefused("not_found", "There is no such device.", status=404)
    return device

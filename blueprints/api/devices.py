"""Devices of the API: pairing, changing, testing and revoking them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from marshmallow import ValidationError
from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller
from blueprints.api.declare import Resource, call, complain
from blueprints.api.schemas.devices import (
    ChangeDeviceSchema,
    DeviceListSchema,
    DeviceSchema,
    PairedSchema,
    PairSchema,
    PushTestSchema,
)
from blueprints.client_address import Callers
from services.core.errors import RequestRefused
from services.core.messages import Device, rfc3339
from services.core.quiet_hours import QuietHours
from services.delivery.push_delivery import PushDelivery
from services.messaging.device_limits import DEVICE_CHANGES, TEST_PUSHES, DeviceLimits
from services.operations.login_throttle import LoginThrottle
from services.push.base import Channel
from services.store import devices
from services.store.database.store import Store


@dataclass(eq=False)
class Devices(Resource):
    """Pairing, and the devices of an extension."""

    name = "devices"
    description = "Pairing, and the devices of the extension"

    store: Store
    channels: Mapping[str, Channel]
    push_delivery: PushDelivery
    throttle: LoginThrottle
    limits: DeviceLimits
    callers: Callers

    @call(
        "POST",
        "/pair",
        Auth.ANYBODY,
        json=PairSchema,
        answers={201: PairedSchema},
        refuses=[403, 429],
    )
    def pair_device(self, asked: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Pair a device with a code of the administrator's.

        A code is good once and for ten minutes. The token is shown this once; it is good until the
        device is revoked.
        """
        calls_from = self.callers.caller().counted_as
        self.throttle.spend(calls_from)
        wanted = asked["device"]
        platform = f"{wanted['platform']} {wanted['app_version']}".strip()

        def work(tx: Connection) -> tuple[Device, str]:
            extension = devices.use_pairing(tx, asked["code"])
            if extension is None:
                raise RequestRefused(
                    "wrong_code",
                    "This code is wrong, used or too old. Ask your administrator for a new one.",
                    field="code",
                    status=403,
                )
            return devices.add(tx, extension, wanted["name"], platform=platform)

        device, token = self.store.write(work)
        self.throttle.note_success(calls_from)
        return {"device_id": device.id, "token": token, "extension": device.extension}, 201

    @call("GET", "/devices", Auth.DEVICE, answers={200: DeviceListSchema})
    def list_devices(self) -> dict[str, Any]:
        """The devices of the extension, oldest first."""
        found = self.store.read(lambda tx: devices.of(tx, [caller().extension]))
        return {"items": [device_object(device) for device in found]}

    @call(
        "PUT",
        "/devices/<uuid:device_id>",
        Auth.DEVICE,
        json=ChangeDeviceSchema,
        answers={200: DeviceSchema},
        refuses=[404],
    )
    def update_device(self, asked: dict[str, Any], device_id: UUID) -> dict[str, Any]:
        """Change a device of the extension: its name, where it is pushed to, and how.

        Apps do so at every start: what is as it was stays as it is.
        """
        push = self._address(asked["push"]) if "push" in asked else None
        changing = caller()

        def work(tx: Connection) -> Device:
            device = _own(tx, device_id)
            self.limits.count(tx, changing, DEVICE_CHANGES)
            if "name" in asked:
                devices.rename(tx, device.id, asked["name"])
            if push is not None:
                devices.register(tx, device, *push)
            if "preview" in asked:
                devices.set_preview(tx, device.id, asked["preview"])
            if "quiet_hours" in asked:
                hours = asked["quiet_hours"]
                devices.set_quiet_hours(tx, device.id, QuietHours(**hours) if hours else None)
            return _own(tx, device_id)

        return device_object(self.store.write(work))

    def _address(self, push: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The channel and the address that an app wants pushes at, checked by the channel."""
        kind, written = push["type"], {name: part for name, part in push.items() if name != "type"}
        known = {name: c for name, c in self.channels.items() if c.per_device}
        if kind == "none":
            return kind, {}
        if kind not in known:
            complain([f"Send one of {', '.join([*known, 'none'])}."], "push.type")
        try:
            return kind, known[kind].address(written)
        except ValidationError as error:
            complain(error.messages, "push")

    @call(
        "POST",
        "/devices/<uuid:device_id>/test",
        Auth.DEVICE,
        answers={200: PushTestSchema},
        refuses=[404, 409],
    )
    def test_device(self, device_id: UUID) -> dict[str, Any]:
        """Push a test notification to a device and tell what its push service said."""
        device = self.store.read(lambda tx: _own(tx, device_id))
        self.limits.spend(caller(), TEST_PUSHES)
        outcome, detail = self.push_delivery.test(device)
        return {"outcome": outcome, "detail": detail}

    @call("DELETE", "/devices/<uuid:device_id>", Auth.DEVICE, answers={204: None}, refuses=[404])
    def revoke_device(self, device_id: UUID) -> tuple[str, int]:
        """Revoke a device of the extension: its token is refused from now on, its streams end."""

        def work(tx: Connection) -> None:
            devices.revoke(tx, _own(tx, device_id).id)

        self.store.write(work)
        return "", 204


def device_object(device: Device) -> dict[str, Any]:
    """A device as its extension sees it."""
    return {
        "id": device.id,
        "name": device.name,
        "platform": device.platform,
        "push": {"type": device.channel},
        "preview": device.preview,
        "quiet_hours": device.quiet_hours.to_json() if device.quiet_hours is not None else None,
        "last_success_at": _stamp(device.last_success_at),
        "last_error": device.last_error,
        "created_at": rfc3339(device.created_at),
        "seen_at": _stamp(device.seen_at),
        "current": device.id == caller().id,
    }


def _stamp(at: float | None) -> str | None:
    return rfc3339(at) if at is not None else None


def _own(tx: Connection, device_id: UUID) -> Device:
    device = devices.by_id(tx, str(device_id))
    if device is None or device.extension != caller().extension:
        raise RequestRefused("not_found", "There is no such device.", status=404)
    return device

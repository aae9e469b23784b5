"""Authentication of devices by their tokens; wrong tokens are counted for each address."""

import time
from contextlib import suppress

from blueprints.client_address import Callers
from services.core.errors import StorageUnwell
from services.core.messages import Device
from services.operations.login_throttle import LoginThrottle
from services.store import devices
from services.store.database.store import Store

SEEN_SECONDS = 60.0


class DeviceAuth:
    """Finds the device of a token or an id, and counts the failures of this request's address."""

    def __init__(self, store: Store, throttle: LoginThrottle, callers: Callers) -> None:
        self._store = store
        self._throttle = throttle
        self._callers = callers

    def by_token(self, token: str) -> Device | None:
        """The device that a token belongs to. Raises ``StorageUnwell``."""
        return self._store.read(lambda tx: devices.by_token(tx, token))

    def by_id(self, device_id: str) -> Device | None:
        """The device of an id, unless it was revoked. Raises ``StorageUnwell``."""
        return self._store.read(lambda tx: devices.by_id(tx, device_id))

    def seen(self, device: Device) -> Device:
        """Record the time of the call, at most once a minute; a full disk is no error here."""
        now = time.time()
        if device.seen_at is None or device.seen_at < now - SEEN_SECONDS:
            with suppress(StorageUnwell):
                self._store.write(lambda tx: devices.seen(tx, device.id, now))
        return device

    def count_failure(self) -> None:
        """Count a wrong token. Raises ``RequestRefused`` (429) where there were too many.

        Tokens are counted after the look-up: they have 256 bits, so guessing is hopeless, and no
        address can lock out another. A full disk is no error here.
        """
        with suppress(StorageUnwell):
            self._throttle.spend(self._callers.caller().counted_as)

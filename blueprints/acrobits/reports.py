"""Reports of Acrobits' apps: their push address, and that an account was removed.

https://doc.acrobits.net/api/client/push_token_reporter.html
"""

from functools import partial
from typing import Any

from marshmallow import ValidationError

from blueprints.acrobits.calls import Call
from services.core.errors import RequestRefused
from services.push.acrobits.channel import Acrobits
from services.push.base import Channel
from services.store import devices
from services.store.database.store import Store


class Reports:
    """Stores the push address that an app reports."""

    def __init__(self, store: Store, channel: Channel) -> None:
        self._store = store
        self._channel = channel

    def report_token(self, call: Call) -> dict[str, Any]:
        """Register the address that the app reports at every start."""
        try:
            address = self._channel.address(
                {name: call[name] for name in ("selector", "token", "app_id")}
            )
        except ValidationError as error:
            fields = ", ".join(error.messages_dict)
            raise RequestRefused(
                "push_token", f"These were not reported as expected: {fields}."
            ) from None
        self._store.write(
            partial(
                devices.register, device=call.device, channel=self._channel.name, address=address
            )
        )
        return {}

    def report_removal(self, call: Call) -> dict[str, Any]:
        """Stop pushing to the app, if the removed account is the one that is pushed to."""
        device = call.device
        if device.channel == Acrobits.name and call["selector"] == device.address["selector"]:
            reason = "The account was removed from the app."
            self._store.write(partial(devices.forget_address, device_id=device.id, error=reason))
        return {}

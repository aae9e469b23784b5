"""Reports: where the app is to be pushed to, and that it has the account no longer.

https://doc.acrobits.net/api/client/push_token_reporter.html
"""

from functools import partial
from typing import Any

from marshmallow import ValidationError

from blueprints.acrobits.calls import Call
from services.core.errors import RequestRefused
from services.gateway import Gateway
from services.push.acrobits.channel import Acrobits
from services.store import devices


def report_token(gateway: Gateway, call: Call) -> dict[str, Any]:
    """Push to the app by what it reports; apps do so at every start."""
    channel = gateway.channels[Acrobits.name]
    try:
        address = channel.address({name: call[name] for name in ("selector", "token", "app_id")})
    except ValidationError as error:
        fields = ", ".join(error.messages_dict)
        raise RequestRefused(
            "push_token", f"These were not reported as expected: {fields}."
        ) from None
    gateway.store.write(
        partial(devices.register, device=call.device, channel=channel.name, address=address)
    )
    return {}


def report_removal(gateway: Gateway, call: Call) -> dict[str, Any]:
    """Push to the app no longer, if the account that was removed is the one that is pushed to."""
    device = call.device
    if device.channel == Acrobits.name and call["selector"] == device.address["selector"]:
        reason = "The account was removed from the app."
        gateway.store.write(partial(devices.forget_address, device_id=device.id, error=reason))
    return {}

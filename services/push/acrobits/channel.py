"""Acrobits push channel: notifies Acrobits apps by the push relay of Acrobits (PNM).

The relay needs no account: the push token that the app reported authorizes a push. A push names the
text; the app then fetches it from this server (``blueprints/acrobits``).

Source: https://doc.acrobits.net/api/server/http_push.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, validate

from services.config.parsers import url
from services.config.variables import variable
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.client import Answer, NoAnswer, NotSent, TooLarge
from services.push.address import PushAddress
from services.push.base import Channel, ChannelContext

PUSH_URL = "https://pnm.cloudsoftphone.com/pnm2/send"
RETRY_CODES = {408, 425, 429}


@dataclass(frozen=True)
class AcrobitsSettings:
    """The variables ``ACROBITS_…``."""

    push_url: str = variable(
        "Address of the push relay.", parse=url, default=PUSH_URL, example=PUSH_URL
    )


class AcrobitsAddress(PushAddress):
    """What an app reports: push token, app id, and ``selector``, its account on this device."""

    selector = fields.String(required=True, validate=validate.Length(1, 500))
    token = fields.String(required=True, validate=validate.Length(1, 1000))
    app_id = fields.String(required=True, validate=validate.Length(1, 500))


class Acrobits(Channel):
    """Notifies the app of one device. Always on, because it needs no account."""

    name = "acrobits"
    title = "Acrobits"
    prefix = "ACROBITS_"
    Settings = AcrobitsSettings
    Address = AcrobitsAddress
    waits_for_media = True
    seconds = 10.0  # the total deadline of one push

    def __init__(self, settings: AcrobitsSettings, context: ChannelContext) -> None:
        self._url = settings.push_url
        self._http = context.http

    def notify(self, device: Device, notice: Notice) -> None:
        """Send one push with what the preview policy allows. Raises ``PushError``."""
        try:
            answer = self._http.request(
                "POST", self._url, json=_push(device, notice), seconds=self.seconds
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            raise PushError(f"Acrobits' relay did not take the push. {error}", Kind.RETRY) from None
        code = _code(answer)
        if not 200 <= code < 300:
            raise _refusal(code, answer)


def stream_id(message: Mapping[str, Any]) -> str:
    """The app's id of the conversation of a message object: the other party or parties."""
    if message["direction"] == "out":
        return ",".join(sorted(message["to"]))
    return str(message["from"])


def _push(device: Device, notice: Notice) -> dict[str, Any]:
    """The request body for the relay; ``Id`` is also the id of the text in the fetch.

    There is no badge: the app counts unread texts itself and does not report what was read.
    """
    push = {
        "verb": "NotifyTextMessage",
        "AppId": device.address["app_id"],
        "DeviceToken": device.address["token"],
        "Selector": device.address["selector"],
        "Sound": "default",
        "ContentType": "text/plain",
    }
    if not notice.message:  # a test
        return push | {"UserDisplayName": notice.title, "Message": notice.body}
    push["Id"] = str(notice.message["seq"])
    if device.preview != "none":
        sender = stream_id(notice.message)
        push |= {"UserName": sender, "UserDisplayName": notice.title, "ThreadId": sender}
    if device.preview == "full":
        push["Message"] = notice.body
    return push


def _code(answer: Answer) -> int:
    """The result code: the relay may send an error in the body of a 2xx, ``{"code": 404, …}``."""
    try:
        content = answer.json()
    except ValueError:
        return answer.status
    code = content.get("code") if isinstance(content, dict) else None
    return code if answer.ok and type(code) is int else answer.status


def _refusal(code: int, answer: Answer) -> PushError:
    reason = f"Acrobits' relay answered {code} instead of taking the push."
    if code == 404:
        reason = "The app is not there any more, or has a new push token. Open it once."
        return PushError(reason, Kind.GONE, code=str(code))
    if code in RETRY_CODES or not 400 <= code < 500:
        wait = answer.retry_after if answer.status == 429 else None
        return PushError(reason, Kind.RETRY, code=str(code), retry_after=wait)
    return PushError(reason, Kind.REFUSED, code=str(code))

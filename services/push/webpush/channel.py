"""Web Push: a notification in the browser or the installed web app, by the browser's own service.

https://www.rfc-editor.org/rfc/rfc8030 (the call), 8291 (encryption), 8292 (who we are).
"""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from services.core.base64url import from_base64url
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http import Answer, NoAnswer, NotSent, TooLarge
from services.push.address import Address, host, origin, web_address, within
from services.push.base import Channel, ChannelContext, NoSettings
from services.push.payload import collapse_key, payload, written
from services.push.webpush.encryption import AUTH_BYTES, encrypt, receiver_key

# The push services of the browsers: Chrome, Edge and others; Firefox; Safari; Windows.
KNOWN = (
    "https://fcm.googleapis.com",
    "https://android.googleapis.com",
    "https://*.push.services.mozilla.com",
    "https://*.push.apple.com",
    "https://*.notify.windows.com",
)
TTL_SECONDS = 86_400  # how long a push service keeps what a phone does not fetch
PAUSE_SECONDS = 60.0  # after a 429 that names no time
# In their words: the subscription was made with another VAPID key than ours of today.
OTHER_KEY = re.compile(r"mismatch|do not correspond", re.IGNORECASE)


def _public_key(value: str) -> None:
    try:
        receiver_key(value)
    except ValueError:
        raise ValidationError("Send p256dh as the browser's subscription has it.") from None


def _auth(value: str) -> None:
    try:
        right = len(from_base64url(value)) == AUTH_BYTES
    except ValueError:
        right = False
    if not right:
        raise ValidationError("Send auth as the browser's subscription has it.")


class Keys(Address):
    """With which the app's pushes are encrypted."""

    p256dh = fields.String(required=True, validate=[validate.Length(max=100), _public_key])
    auth = fields.String(required=True, validate=[validate.Length(max=30), _auth])


class Subscription(Address):
    """A ``PushSubscription`` as browsers write it to JSON."""

    endpoint = fields.String(required=True, validate=web_address)
    keys = fields.Nested(Keys, required=True)
    expiration_time = fields.Raw(data_key="expirationTime", allow_none=True, load_only=True)


class WebPush(Channel):
    """Posts each notice, encrypted, to the push service that the browser subscribed at."""

    name = "webpush"
    title = "Web Push"
    Address = Subscription
    seconds = 10.0  # the total deadline of one attempt

    def __init__(self, settings: NoSettings, around: ChannelContext) -> None:
        self._around = around
        self._taken: set[str] = set()  # hosts that have taken a push with our key

    def address(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Channel.address``; ``expirationTime`` is for the browser alone."""
        checked = super().address(written)
        checked.pop("expiration_time", None)
        if not self._admits(checked["endpoint"]):
            raise ValidationError({"endpoint": [self._remedy()]})
        return checked

    def _admits(self, endpoint: str) -> bool:
        return within(endpoint, KNOWN) or self._around.places.are_allowed(endpoint)

    def _remedy(self) -> str:
        return "This is no push service that is known here. Its host can be allowed in PUSH_HOSTS."

    def destination(self, address: Mapping[str, Any]) -> str:
        """Each push service by itself: one that is unwell keeps nobody else waiting."""
        return f"push:{self.name}:{host(address, 'endpoint')}"

    def notify(self, device: Device, notice: Notice) -> None:
        """Post one notice; returns when it is taken (201). Raises ``PushError``."""
        endpoint, keys = device.address["endpoint"], device.address["keys"]
        service = host(device.address, "endpoint")
        allowed = self._around.places.are_allowed(endpoint)
        http = self._around.http if allowed else self._around.public_http
        headers = {
            "authorization": self._around.vapid.authorization(origin(endpoint)),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(TTL_SECONDS),
            "urgency": "normal" if notice.type == "conversation.read" else "high",
        }
        topic = collapse_key(device, notice)
        if topic is not None:
            headers["topic"] = topic
        body = encrypt(written(payload(notice)), keys["p256dh"], keys["auth"])
        try:
            answer = http.request(
                "POST", endpoint, headers=headers, data=body, seconds=self.seconds
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"The push service {service} did not take the notification. {error}"
            raise PushError(reason, Kind.RETRY) from None
        if not answer.ok:
            raise self._refusal(service, answer)
        self._taken.add(service)

    def _refusal(self, service: str, answer: Answer) -> PushError:
        """What follows from an answer (RFC 8030 §5, RFC 8292 §4.2, and what they do beyond)."""
        status, code = answer.status, str(answer.status)
        if status in (404, 410):
            reason = "The app no longer takes notifications here; it subscribes anew when opened."
            return PushError(reason, Kind.GONE, code=code)
        if status in (401, 403):
            return self._not_accepted(service, answer)
        if status == 429:
            wait = answer.retry_after or PAUSE_SECONDS
            reason = f"The push service {service} asks for a pause."
            return PushError(reason, Kind.RETRY, code=code, retry_after=wait)
        reason = f"The push service {service} answered {code} instead of taking the notification."
        if status >= 500 or status == 408:
            return PushError(reason, Kind.RETRY, code=code, retry_after=answer.retry_after)
        return PushError(reason, Kind.REFUSED, code=code)

    def _not_accepted(self, service: str, answer: Answer) -> PushError:
        """It does not accept who we say we are: for this subscription, or altogether."""
        code = str(answer.status)
        if OTHER_KEY.search(answer.body.decode("utf-8", "replace")):
            reason = "The app subscribed with another VAPID key; it subscribes anew when opened."
            return PushError(reason, Kind.GONE, code=code)
        if service in self._taken:
            reason = f"The push service {service} answered {code}, for this subscription only."
            return PushError(reason, Kind.REFUSED, code=code)
        reason = f"The push service {service} does not accept us ({code})."
        if self._around.vapid.subject is None:
            reason += " It may want a contact: set APP_URL to the public https address."
        else:
            reason += " Look at this machine's clock and at VAPID_SUBJECT."
        return PushError(reason, Kind.CONFIG, code=code)

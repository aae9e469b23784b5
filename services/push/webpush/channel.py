"""Web Push channel: notifications in browsers and installed web apps, by the browser's service.

Source: https://www.rfc-editor.org/rfc/rfc8030 (request), rfc8291 (encryption), rfc8292 (VAPID).
"""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from services.core.base64url import from_base64url
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.client import Answer, NoAnswer, NotSent, TooLarge
from services.push.address import PushAddress, host_of, origin, origin_matches, validate_web_address
from services.push.base import Channel, ChannelContext, NoSettings
from services.push.payload import collapse_key, push_payload, to_json_bytes
from services.push.webpush.encryption import AUTH_BYTES, encrypt, receiver_key

# Origins of the browsers' push services: Chrome, Edge and others; Firefox; Safari; Windows.
KNOWN_SERVICES = (
    "https://fcm.googleapis.com",
    "https://android.googleapis.com",
    "https://*.push.services.mozilla.com",
    "https://*.push.apple.com",
    "https://*.notify.windows.com",
)
TTL_SECONDS = 86_400  # how long a push service keeps an undelivered push
PAUSE_SECONDS = 60.0  # after a 429 without Retry-After
# Error texts for a subscription that was made with another VAPID key than the current one.
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


class SubscriptionKeys(PushAddress):
    """The keys that encrypt pushes to this subscription (RFC 8291)."""

    p256dh = fields.String(required=True, validate=[validate.Length(max=100), _public_key])
    auth = fields.String(required=True, validate=[validate.Length(max=30), _auth])


class Subscription(PushAddress):
    """A browser's ``PushSubscription``, as its ``toJSON`` writes it."""

    endpoint = fields.String(required=True, validate=validate_web_address)
    keys = fields.Nested(SubscriptionKeys, required=True)
    expiration_time = fields.Raw(data_key="expirationTime", allow_none=True, load_only=True)


class WebPush(Channel):
    """Posts each notice, encrypted, to the push service of the browser's subscription."""

    name = "webpush"
    title = "Web Push"
    Address = Subscription
    seconds = 10.0  # the total deadline of one attempt

    def __init__(self, settings: NoSettings, context: ChannelContext) -> None:
        self._context = context
        self._accepting: set[str] = set()  # hosts that have accepted a push with this VAPID key

    def address(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Channel.address``; ``expirationTime`` is not stored."""
        checked = super().address(written)
        checked.pop("expiration_time", None)
        if not self._allows(checked["endpoint"]):
            raise ValidationError({"endpoint": [self._host_remedy()]})
        return checked

    def _allows(self, endpoint: str) -> bool:
        return origin_matches(endpoint, KNOWN_SERVICES) or self._context.host_policy.allows(
            endpoint
        )

    def _host_remedy(self) -> str:
        return "This is no push service that is known here. Its host can be allowed in PUSH_HOSTS."

    def destination(self, address: Mapping[str, Any]) -> str:
        """One key per push service, so that an outage of one does not delay the others."""
        return f"push:{self.name}:{host_of(address, 'endpoint')}"

    def notify(self, device: Device, notice: Notice) -> None:
        """Post one notice; returns when it is accepted (201). Raises ``PushError``."""
        endpoint, keys = device.address["endpoint"], device.address["keys"]
        service = host_of(device.address, "endpoint")
        allowed = self._context.host_policy.allows(endpoint)
        http = self._context.http if allowed else self._context.public_http
        headers = {
            "authorization": self._context.vapid.authorization(origin(endpoint)),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(TTL_SECONDS),
            "urgency": "normal" if notice.type == "conversation.read" else "high",
        }
        topic = collapse_key(device, notice)
        if topic is not None:
            headers["topic"] = topic
        body = encrypt(to_json_bytes(push_payload(notice)), keys["p256dh"], keys["auth"])
        try:
            answer = http.request(
                "POST", endpoint, headers=headers, data=body, seconds=self.seconds
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"The push service {service} did not take the notification. {error}"
            raise PushError(reason, Kind.RETRY) from None
        if not answer.ok:
            raise self._refusal(service, answer)
        self._accepting.add(service)

    def _refusal(self, service: str, answer: Answer) -> PushError:
        """The error for an answer (RFC 8030 §5, RFC 8292 §4.2, and observed behaviour)."""
        status, code = answer.status, str(answer.status)
        if status in (404, 410):
            reason = "The app no longer takes notifications here; it subscribes anew when opened."
            return PushError(reason, Kind.GONE, code=code)
        if status in (401, 403):
            return self._vapid_error(service, answer)
        if status == 429:
            wait = answer.retry_after or PAUSE_SECONDS
            reason = f"The push service {service} asks for a pause."
            return PushError(reason, Kind.RETRY, code=code, retry_after=wait)
        reason = f"The push service {service} answered {code} instead of taking the notification."
        if status >= 500 or status == 408:
            return PushError(reason, Kind.RETRY, code=code, retry_after=answer.retry_after)
        return PushError(reason, Kind.REFUSED, code=code)

    def _vapid_error(self, service: str, answer: Answer) -> PushError:
        """The error for refused VAPID credentials: for one subscription or for the service."""
        code = str(answer.status)
        if OTHER_KEY.search(answer.body.decode("utf-8", "replace")):
            reason = "The app subscribed with another VAPID key; it subscribes anew when opened."
            return PushError(reason, Kind.GONE, code=code)
        if service in self._accepting:
            reason = f"The push service {service} answered {code}, for this subscription only."
            return PushError(reason, Kind.REFUSED, code=code)
        reason = f"The push service {service} does not accept us ({code})."
        if self._context.vapid.subject is None:
            reason += " It may want a contact: set APP_URL to the public https address."
        else:
            reason += " Look at this machine's clock and at VAPID_SUBJECT."
        return PushError(reason, Kind.CONFIG, code=code)

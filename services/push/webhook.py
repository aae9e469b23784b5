"""Signed webhook push channel: posts every message to one URL (Standard Webhooks 1.0.0).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.config import parsers
from services.config.variables import variable
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice, rfc3339
from services.http.client import Answer, NoAnswer, NotSent, TooLarge
from services.push.base import Channel, ChannelContext
from services.push.payload import to_json_bytes

THROTTLED = {429, 502, 503, 504}
PAUSE_SECONDS = 60.0  # after a 429 without Retry-After


def receiver_url(value: str) -> str:
    """Validate the receiver's URL and return it unchanged, with path and query.

    Raises ``ValueError``.
    """
    return parsers.web_address(value)


def signing_key(value: str) -> bytes:
    """Decode a Standard Webhooks secret: base64 of 24 to 64 bytes, with or without ``whsec_``.

    Raises ``ValueError``.
    """
    try:
        raw = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows whsec_ is not base64.") from None
    if not 24 <= len(raw) <= 64:
        raise ValueError(f"it holds {len(raw)} bytes; it must hold 24 to 64.")
    return raw


@dataclass(frozen=True)
class WebhookSettings:
    """The variables ``PUSH_WEBHOOK_…``: the receiver's URL and the signing secret."""

    url: str = variable(
        "Address that is told of every message (hidden, as such addresses often hold a token).",
        parse=receiver_url,
        secret=True,
        example="https://app.example.com/textbridge",
        remedy="Write the receiver's address, such as https://app.example.com/textbridge.",
    )
    secret: bytes = variable(
        "Secret that signs the webhook; the receiver needs the same one.",
        parse=signing_key,
        secret=True,
        example="whsec_…",
        remedy=(
            "Make one with: python3 -c \"import base64, secrets; print('whsec_' + "
            'base64.b64encode(secrets.token_bytes(32)).decode())"'
        ),
    )


class SignedWebhook(Channel):
    """Posts every message and every status change, for all extensions, to one URL."""

    name = "webhook"
    title = "Signed webhook"
    prefix = "PUSH_WEBHOOK_"
    Settings = WebhookSettings
    per_device = False
    wants_status_updates = True
    seconds = 15.0  # the total deadline of one attempt

    def __init__(self, settings: WebhookSettings, context: ChannelContext) -> None:
        self._url = settings.url
        self._key = settings.secret
        self._http = context.http
        self._receiver = f"The webhook's receiver at {urlsplit(settings.url).hostname}"

    def notify(self, device: Device, notice: Notice) -> None:
        """Post one notice; returns when it is accepted (2xx). Raises ``PushError``."""
        body = self._body(notice)
        try:
            answer = self._http.post(
                self._url, headers=self._headers(notice.id, body), data=body, seconds=self.seconds
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"{self._receiver} did not take the message. {error}"
            raise PushError(reason, Kind.RETRY) from None
        if not answer.ok:
            raise self._refusal(answer)

    @staticmethod
    def _body(notice: Notice) -> bytes:

        content = {
            "type": notice.type,
            "timestamp": rfc3339(notice.at),
            "data": {
                "extension": notice.extension,
                "unread": notice.unread,
                "message": notice.message,
            },
        }
        return to_json_bytes(content)

    def _headers(self, notice_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signed = b".".join([notice_id.encode(), timestamp.encode(), body])
        digest = hmac.digest(self._key, signed, hashlib.sha256)
        return {
            "content-type": "application/json",
            "webhook-id": notice_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }

    def _refusal(self, answer: Answer) -> PushError:
        code = str(answer.status)
        if answer.status == 410:
            return PushError(f"{self._receiver} is gone for good (410).", Kind.GONE, code=code)
        wait = answer.retry_after if answer.status in THROTTLED else None
        if answer.status == 429 and wait is None:
            wait = PAUSE_SECONDS
        reason = f"{self._receiver} answered {code} instead of taking the message."
        return PushError(reason, Kind.RETRY, code=code, retry_after=wait)

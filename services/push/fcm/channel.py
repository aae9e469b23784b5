"""Firebase Cloud Messaging (FCM, HTTP v1) push channel: native apps on Android and iOS.

Source: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages. On Android the app
gets data only and shows the notification itself; iOS shows the content of ``apns``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.config import parsers
from services.config.variables import variable
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.client import Answer, NoAnswer, NotSent, TooLarge
from services.push.address import PushAddress
from services.push.base import Channel, ChannelContext
from services.push.fcm.service_account import AccessToken, ServiceAccount, parse_service_account
from services.push.payload import collapse_key, push_payload, to_json_bytes

TTL_SECONDS = 86_400  # how long FCM keeps an undelivered push
PAUSE_SECONDS = 60.0  # after a 429 without Retry-After, as FCM documents
DETAIL = "type.googleapis.com/google.firebase.fcm.v1.FcmError"

# FCM error code -> the decision and the reason.
# Source: https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
ERRORS = {
    "UNREGISTERED": (Kind.GONE, "The app was removed from the device, or has a new token."),
    "SENDER_ID_MISMATCH": (Kind.GONE, "The app's token belongs to another Firebase project."),
    "THIRD_PARTY_AUTH_ERROR": (
        Kind.REFUSED,
        "Apple does not accept the APNs key in the Firebase project. Upload a valid one there.",
    ),
    "QUOTA_EXCEEDED": (Kind.RETRY, "Firebase asks for a pause."),
    "UNAVAILABLE": (Kind.RETRY, "Firebase is not available just now."),
    "INTERNAL": (Kind.RETRY, "Firebase has a fault just now."),
}


@dataclass(frozen=True)
class FcmSettings:
    """The variables ``FCM_…``: the Firebase project of the app."""

    service_account: ServiceAccount = variable(  # noqa: RUF009 - it is frozen
        "Key file of a service account of your app's Firebase project: its path or its content.",
        parse=parse_service_account,
        secret=True,
        remedy="Make one in the Firebase console: Project settings, Service accounts.",
    )
    base_url: str = variable(
        "Where FCM is.", parse=parsers.url, default="https://fcm.googleapis.com"
    )


class FcmAddress(PushAddress):
    """What the Firebase SDK gave the app: a registration token or an installation id."""

    token = fields.String(validate=validate.Length(1, 1000))
    fid = fields.String(validate=validate.Length(1, 200))

    @validates_schema
    def _check(self, given: dict[str, Any], **_: Any) -> None:
        if len(given) != 1:
            raise ValidationError("Send either token or fid.", "token")


class Fcm(Channel):
    """Sends each notice to Firebase for one installed app."""

    name = "fcm"
    title = "Firebase Cloud Messaging"
    prefix = "FCM_"
    Settings = FcmSettings
    Address = FcmAddress
    wants_read_events = True
    seconds = 15.0  # the total deadline of one attempt; FCM asks for at least 10

    def __init__(self, settings: FcmSettings, context: ChannelContext) -> None:
        project = settings.service_account.project
        self._url = f"{settings.base_url}/v1/projects/{project}/messages:send"
        self._http = context.http
        self._access = AccessToken(settings.service_account, context.http)

    def notify(self, device: Device, notice: Notice) -> None:
        """Send one notice; returns when Firebase has accepted it (200). Raises ``PushError``."""
        body = to_json_bytes({"message": {**device.address, **_message(device, notice)}})
        answer = self._post(body)
        if answer.status == 401 and _code(answer) is None:
            self._access.forget()
            answer = self._post(body)
        if not answer.ok:
            raise _refusal(answer)

    def _post(self, body: bytes) -> Answer:
        headers = {
            "authorization": f"Bearer {self._access.get()}",
            "content-type": "application/json",
        }
        try:
            return self._http.request(
                "POST", self._url, headers=headers, data=body, seconds=self.seconds
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"Firebase did not take the notification. {error}"
            raise PushError(reason, Kind.RETRY) from None


def _message(device: Device, notice: Notice) -> dict[str, Any]:
    """The message without its target. FCM accepts only strings in ``data``."""
    content = {name: str(part) for name, part in push_payload(notice).items() if part is not None}
    silent = notice.type == "conversation.read"
    collapse = collapse_key(device, notice)
    aps: dict[str, Any] = {"badge": notice.unread_total}
    if silent:
        aps["content-available"] = 1
    else:
        alert = {"title": notice.title, "body": notice.body}
        aps |= {"alert": alert, "sound": "default", "mutable-content": 1}
        if notice.conversation_id is not None:
            aps["thread-id"] = notice.conversation_id
    return {
        "data": content,
        "android": {
            "priority": "NORMAL" if silent else "HIGH",
            "ttl": f"{TTL_SECONDS}s",
            **({"collapse_key": collapse} if collapse else {}),
        },
        "apns": {
            "headers": {
                "apns-priority": "5" if silent else "10",
                "apns-push-type": "background" if silent else "alert",
                "apns-expiration": str(int(time.time()) + TTL_SECONDS),
                **({"apns-collapse-id": collapse} if collapse else {}),
            },
            "payload": {"aps": aps, **content},
        },
    }


def _details(answer: Answer) -> Iterator[dict[str, Any]]:
    """The objects in ``error.details`` of an answer; none where the answer has another shape."""
    try:
        found = answer.json()["error"]["details"]
    except (ValueError, KeyError, TypeError):
        return
    yield from (part for part in found if isinstance(part, dict)) if isinstance(found, list) else ()


def _code(answer: Answer) -> str | None:
    """The FCM error code of an answer, if it has one."""
    return next((d.get("errorCode") for d in _details(answer) if d.get("@type") == DETAIL), None)


def _refusal(answer: Answer) -> PushError:
    """The error for an answer that is not 200."""
    code, status = _code(answer), answer.status
    if code == "INVALID_ARGUMENT" and b"registration token is not" in answer.body:
        return PushError("The app's token is not one of Firebase's.", Kind.GONE, code=code)
    if code in ERRORS:
        kind, reason = ERRORS[code]
    elif status in (401, 403, 404):
        reason = f"Firebase does not let the service account push ({status}). Check its project."
        kind = Kind.CONFIG
    elif status >= 500 or status in (408, 429):
        kind, reason = Kind.RETRY, f"Firebase answered {status}."
    else:
        kind, reason = Kind.REFUSED, f"Firebase answered {status} instead of taking it."
    wait = answer.retry_after if kind is Kind.RETRY else None
    if status == 429 and wait is None:
        wait = PAUSE_SECONDS
    return PushError(reason, kind, code=code or str(status), retry_after=wait)

"""Bandwidth, Messaging API v2 (https://dev.bandwidth.com/docs/messaging)."""

import base64
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from services.config.parsers import one_of, strong_secret, url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import InvalidWebhook, Kind, MediaError, SendError
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
)
from services.providers import bandwidth_lookup, reading
from services.providers.addresses import is_below
from services.providers.bandwidth_api import EXTENSIONS, Api
from services.providers.bandwidth_errors import explained
from services.providers.base import Finding, Limits, Provider, Surroundings, same

BASE_URL = "https://messaging.bandwidth.com/api/v2"
TOKEN_URL = "https://api.bandwidth.com/api/v1/oauth2/token"  # noqa: S105

# Whatever Bandwidth tells of a message, it has taken it. "message-sending" can be the last event
# that ever comes; "message-read" exists for RBM (RCS) only.
STATUSES = {
    "message-sending": Status.SENT,
    "message-sent": Status.SENT,
    "message-delivered": Status.DELIVERED,
    "message-failed": Status.FAILED,
    "message-read": Status.DELIVERED,
}

_SENDER = re.compile(r"\+?[1-9][0-9]{2,14}|(?=.*[A-Za-z])[A-Za-z0-9 _&+-]{1,11}", re.ASCII)
_OUR_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def account(value: str) -> str:
    """An account id: a number, or of old ``u-`` and letters."""
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", value, re.ASCII):
        raise ValueError("it must be the account's number.")
    return value


class Bandwidth(Provider):
    """Bandwidth: SMS, MMS and group MMS; webhooks by Basic or by the token in the address."""

    name = "bandwidth"
    title = "Bandwidth"
    challenge: ClassVar[Mapping[str, str]] = {
        "WWW-Authenticate": 'Basic realm="sms", charset="UTF-8"'
    }
    lookup_seconds = bandwidth_lookup.LOOKUP_SECONDS
    limits = Limits(text=2048, media_types=tuple(EXTENSIONS), recipients=10)
    webhook_hint = (
        "In the Bandwidth dashboard under Applications, in your messaging application: paste it as "
        "the inbound callback URL and as the status callback URL."
    )

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """The variables ``BANDWIDTH_…``."""

        account_id: str = variable(
            "Account number, shown in the Bandwidth dashboard.", parse=account, example="9900001"
        )
        api_token: str = variable(
            "Client ID of the API credentials (or an older API token).", secret=True
        )
        api_secret: str = variable("Client secret of the API credentials.", secret=True)
        message_base_url: str = variable(
            "Address of the Messaging API.", parse=url, default=BASE_URL, example=BASE_URL
        )
        application_id: str = variable(
            "ID of the Messaging application that your numbers' location is linked to.",
            example="0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
        )
        webhook_username: str | None = variable(
            "Callback user ID, where one is set on the application.",
            optional=True,
            needs="webhook_password",
        )
        webhook_password: str | None = variable(
            "Callback password, where one is set on the application.",
            parse=strong_secret,
            optional=True,
            secret=True,
            needs="webhook_username",
        )
        token_url: str = variable(
            "Address of the OAuth2 sign-in.", parse=url, default=TOKEN_URL, example=TOKEN_URL
        )
        auth: str = variable(
            "`oauth2`, or `basic` for an older API user (ends on 2 December 2026).",
            parse=one_of("oauth2", "basic"),
            default="oauth2",
            example="oauth2",
        )

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self.settings = settings
        self._callback = ""
        if settings.webhook_username and settings.webhook_password:
            self._callback = _basic(settings.webhook_username, settings.webhook_password)
        self._account = f"/users/{settings.account_id}"
        self.api = Api(
            self.http,
            settings.message_base_url + self._account,
            _basic(settings.api_token, settings.api_secret),
            settings.token_url if settings.auth == "oauth2" else None,
        )

    def verify(self, call: WebhookCall) -> None:
        """The application's callback user, or the token in the address.

        With a callback user set, Bandwidth first calls without credentials, and calls again only
        after a 401 that carries ``challenge``. Whether that first call has a body is not told: one
        without is challenged whatever its address, or the message would never come.
        """
        scheme, _, offered = call.headers.get("authorization", "").partition(" ")
        basic = scheme.lower() == "basic" and same(f"Basic {offered.strip()}", self._callback)
        if not basic and not (self.has_token(call) and call.body.strip()):
            raise InvalidWebhook("The callback user or the token is missing or wrong.")

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """A list of events, or one by itself; each is read by itself.

        ``message.applicationId`` is not compared: a second application of the same account may
        serve some of our numbers, and whoever calls has proved already who they are.
        """
        try:
            told = call.json()
        except ValueError as error:
            return [Unreadable(f"The body is not JSON: {error}", call.body)]
        events = told if isinstance(told, list) else [told]
        read = (self._event(event, call.body) for event in events)
        return [parsed for parsed in read if parsed is not None]

    def _event(self, event: Any, body: bytes) -> Parsed | None:
        try:
            kind = reading.word(reading.fields(event, "event"), "type", needed=True)
            if kind == "message-received":
                return self._message(event)
            return self._status(event, kind) if kind in STATUSES else None
        except ValueError as error:
            return Unreadable(str(error), reading.alone(event, body))

    def _message(self, event: dict[str, Any]) -> Message | None:
        """An inbound message. Of a group, every number of ours gets an event with its own id."""
        message = reading.fields(event.get("message"), "message")
        if reading.word(message, "direction") == "out":
            return None  # our own words come back: nothing to answer
        owner = reading.word(message, "owner") or reading.word(event, "to", needed=True)
        sender = reading.word(message, "from", needed=True)
        everybody = dict.fromkeys((sender, *reading.words(message, "to")))
        others = tuple(n for n in everybody if n.removeprefix("+") != owner.removeprefix("+"))
        return Message(
            direction="in",
            number=owner,
            peer=sender,
            text=reading.text(message.get("text"), "text"),
            media=tuple(
                Attachment(source_url=link, name=reading.file_name(link))
                for link in reading.words(message, "media")
                if not reading.file_name(link).lower().endswith(".smil")
            ),
            participants=others if len(others) > 1 else (),
            provider=self.name,
            provider_id=reading.word(message, "id", needed=True),
            segments=reading.small_count(message.get("segmentCount")),
            carrier_time=reading.moment(message.get("time")),
        )

    def _status(self, event: dict[str, Any], kind: str) -> DeliveryStatus:
        """A delivery receipt. Of a group, every recipient has its own, all with one id.

        With another code a failure is another event: of one that nobody was sure about (9902)
        Bandwidth may say later that it is certain.
        """
        message = reading.fields(event.get("message"), "message")
        status, code, reason = STATUSES[kind], None, None
        if status is Status.FAILED:
            code = reading.word(event, "errorCode") or None
            follows, reason = explained(code or "", reading.word(event, "description"))
            # No confirmation is no failure: it must not be sent again as if it had not arrived.
            status = Status.SENT if follows is Kind.UNKNOWN else status
        tag = reading.word(message, "tag")
        return DeliveryStatus(
            status=status,
            event=f"{kind} {code}" if code else kind,
            provider_id=reading.word(message, "id", needed=True),
            message_id=tag if _OUR_ID.fullmatch(tag) else None,
            peer=reading.word(event, "to"),
            code=code,
            reason=reason,
            at=reading.moment(event.get("time")) or time.time(),
        )

    def send(self, message: Message) -> str:
        """Send one message; a group gets one id, too. Files go to Bandwidth's media store first."""
        sender = message.sender_id or message.number
        if not _SENDER.fullmatch(sender):
            raise SendError(
                f"“{sender}” cannot be a sender at Bandwidth. Use a number such as +12025550143 "
                "or a name of at most 11 letters, digits, spaces, -, +, _ or & "
                "with a letter in it.",
                Kind.REFUSED,
            )
        content: dict[str, Any] = {
            "applicationId": self.settings.application_id,
            "from": sender,
            "to": list(dict.fromkeys(message.recipients)),
            "tag": message.id,
            **({"text": message.text} if message.text else {}),
        }
        if message.media:
            content["media"] = [self.api.upload(file) for file in message.media]
        return self.api.post_message(content)

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """By the carrier's id, else by numbers and time; groups only by the id."""
        if message.participants and message.provider_id is None:
            return None
        return bandwidth_lookup.find_sent(self.api, message)

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        return bandwidth_lookup.check(self.api, numbers)

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """Credentials for files of our own account at Bandwidth, and for nothing else."""
        bases = (self.settings.message_base_url, BASE_URL)
        if not any(is_below(url, f"{base}{self._account}/media/") for base in bases):
            raise MediaError("The attachment is not at Bandwidth's own address.", Kind.REFUSED)
        try:
            return {"Authorization": self.api.authorization(renew=renew)}
        except SendError as error:
            raise MediaError(
                error.reason, error.kind, code=error.code, retry_after=error.retry_after
            ) from None

    def example(self, message: Message) -> WebhookCall:
        """The call for an inbound message: a list of one event, as Bandwidth always sends."""
        at = datetime.fromtimestamp(message.carrier_time or message.created_at, UTC)
        when = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        others = [n for n in message.participants if n != message.peer]
        event = {
            "type": "message-received",
            "time": when,
            "description": "Incoming message received",
            "to": message.number,
            "message": {
                "id": message.provider_id or message.id,
                "owner": message.number,
                "applicationId": self.settings.application_id,
                "time": when,
                "segmentCount": message.segments,
                "direction": "in",
                "to": [message.number, *others],
                "from": message.peer,
                "text": message.text,
                **({"media": [file.source_url for file in message.media]} if message.media else {}),
            },
        }
        headers = {"content-type": "application/json; charset=utf-8"}
        if self._callback:
            headers["authorization"] = self._callback
        query = "" if self._callback else self.token_query
        return WebhookCall("POST", headers, query, json.dumps([event]).encode())


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

"""Bandwidth, Messaging API v2 (https://dev.bandwidth.com/docs/messaging)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from services.config.parsers import one_of, strong_secret, url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, MediaError, Problem, SendError
from services.core.messages import DeliveryStatus, Finding, Message, Parsed, WebhookCall
from services.providers.bandwidth import basic_end, check, lookup, webhook
from services.providers.bandwidth.api import EXTENSIONS, Api
from services.providers.bandwidth.errors import TABLE, basic_ended
from services.providers.bandwidth.simulated import SimulatedBandwidth
from services.providers.base import Limits, Provider, ProviderContext
from services.providers.proofs import Basic, basic
from services.providers.url_checks import is_below

BASE_URL = "https://messaging.bandwidth.com/api/v2"
TOKEN_URL = "https://api.bandwidth.com/api/v1/oauth2/token"  # noqa: S105

_SENDER = re.compile(r"\+?[1-9][0-9]{2,14}|(?=.*[A-Za-z])[A-Za-z0-9 _&+-]{1,11}", re.ASCII)
_APPLICATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def account(value: str) -> str:
    """An account id: a number, or of old ``u-`` and letters."""
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", value, re.ASCII):
        raise ValueError("it must be the account's number.")
    return value


class Bandwidth(Provider):
    """Bandwidth: SMS, MMS and group MMS; webhooks by Basic or by the token in the address."""

    name = "bandwidth"
    title = "Bandwidth"
    Simulated = SimulatedBandwidth
    challenge: ClassVar[Mapping[str, str]] = {
        "WWW-Authenticate": 'Basic realm="sms", charset="UTF-8"'
    }
    opt_out_codes = TABLE.opt_out_codes
    causes = TABLE.causes
    lookup_seconds = lookup.LOOKUP_SECONDS
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

        def warnings(self, now: float) -> Iterator[Problem]:
            """Ids that stand in each other's place, and the end of Basic."""
            if _APPLICATION_ID.fullmatch(self.account_id):
                reason = "has the form of an application's ID."
                remedy = "Write the account's number; the application's ID belongs to "
                yield Problem("BANDWIDTH_ACCOUNT_ID", reason, f"{remedy}BANDWIDTH_APPLICATION_ID.")
            if self.application_id.isdigit():
                reason = "has the form of an account's number."
                remedy = "Write the application's ID; the account's number belongs to "
                yield Problem("BANDWIDTH_APPLICATION_ID", reason, f"{remedy}BANDWIDTH_ACCOUNT_ID.")
            if self.auth == "basic":
                yield Problem("BANDWIDTH_AUTH", basic_end.reason(now), basic_end.REMEDY)

    def __init__(self, settings: Settings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.proofs = (webhook.TokenWithBody(self.webhook_token),)
        if settings.webhook_username and settings.webhook_password:
            callback_user = Basic(settings.webhook_username, settings.webhook_password)
            self.proofs = (callback_user, *self.proofs)
        self._account = f"/users/{settings.account_id}"
        self.api = Api(
            self.http,
            settings.message_base_url + self._account,
            basic(settings.api_token, settings.api_secret),
            settings.token_url if settings.auth == "oauth2" else None,
            self.clock,
        )

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """A list of events, or one by itself; each is read by itself."""
        return webhook.parse(call, self.clock())

    def send(self, message: Message) -> str:
        """Send one message; a group gets one id, too. Files go to Bandwidth's media store first."""
        if self._uses_ended_basic():
            raise basic_ended(self.clock())
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
        return lookup.find_sent(self.api, message)

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """Whether the credentials are taken, and nothing is sent by Basic after its end."""
        if self._uses_ended_basic():
            yield Finding(False, basic_ended(self.clock()).reason)
        yield from check.findings(self.api, numbers, self.clock())

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

    def _uses_ended_basic(self) -> bool:
        return self.settings.auth == "basic" and basic_end.has_ended(self.clock())

    def simulated(self) -> SimulatedBandwidth:
        """Receipts, files and answers."""
        media = f"{self.settings.message_base_url}{self._account}/media"
        return SimulatedBandwidth(media, self.settings.application_id)

    def inbound_call(self, message: Message) -> WebhookCall:
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
        return WebhookCall("POST", headers, "", json.dumps([event]).encode())

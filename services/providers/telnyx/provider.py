"""Telnyx, Messaging API v2 (https://developers.telnyx.com/docs/messaging)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from services.config.parsers import url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, MediaError, SendError
from services.core.messages import (
    DeliveryStatus,
    Finding,
    Message,
    Parsed,
    Unreadable,
    WebhookCall,
    rfc3339,
)
from services.providers import parsing
from services.providers.api_client import header_key, public_link
from services.providers.base import Limits, Provider, ProviderContext, json_call
from services.providers.telnyx import check, webhook
from services.providers.telnyx.api import Api
from services.providers.telnyx.errors import TABLE
from services.providers.telnyx.signature import TelnyxSignature, public_key
from services.providers.telnyx.simulated import SimulatedTelnyx
from services.providers.url_checks import is_at, is_below

API_URL = "https://api.telnyx.com/v2"

# https://developers.telnyx.com/docs/messaging/messages/mms-transcoding
TYPES = (
    *("image/jpeg", "image/png", "image/gif", "image/bmp", "image/tiff", "image/webp"),
    *("video/mp4", "video/3gpp", "video/quicktime", "application/pdf", "text/vcard"),
    *("audio/mpeg", "audio/wav", "audio/amr", "audio/ogg", "text/calendar"),
)

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}", re.ASCII)
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
_SENDERS = "Use a number, or with TELNYX_MESSAGING_PROFILE_ID a name of 11 letters at most."


class Telnyx(Provider):
    """Telnyx: SMS, MMS and group MMS; webhooks are signed with a key of Telnyx's own.

    Ten segments are the longest text. A segment may end one place early, because an emoji or a
    character of two places is not divided: so ten of them surely hold 1520 places, or 660 outside
    of GSM-7. All files of a message must be below 1 MB together, and 600 KB is what every carrier
    behind Telnyx takes.
    """

    name = "telnyx"
    title = "Telnyx"
    Simulated = SimulatedTelnyx
    limits = Limits(
        1520,
        unicode_text=660,
        media_bytes=600_000,
        media_total_bytes=990_000,
        media_types=TYPES,
        recipients=8,
    )
    # https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out
    handles_stop = frozenset(
        {"stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit"}
    )
    opt_out_codes = TABLE.opt_out_codes
    causes = TABLE.causes
    number_codes = TABLE.number_codes
    lookup_seconds = 9 * 86_400.0
    media_redirects = ("*.telnyx.com", "*.telnyxcloudstorage.com")
    webhook_hint = (
        "In the Telnyx portal under Messaging, in the messaging profile of your numbers: paste it "
        "as the webhook URL for inbound messages, with API v2. Statuses come by themselves."
    )

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """The variables ``TELNYX_…``."""

        # Telnyx signs its calls: a token in the address would prove nothing.
        webhook_token: str | None = field(default=None, kw_only=True, repr=False)
        api_key: str = variable("API key (v2) of the account.", parse=header_key, secret=True)
        public_key: str = variable(
            "Public key that proves Telnyx's webhooks, under API Keys, Public Key.",
            parse=public_key,
            example="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        )
        base_url: str = variable("Address of the API.", parse=url, default=API_URL, example=API_URL)
        messaging_profile_id: str | None = variable(
            "Messaging profile by which texts go; needed for names as senders.",
            optional=True,
            example="0f512bda-ae1e-4597-8e11-e5f5686b97d3",
        )

    def __init__(self, settings: Settings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.proofs = (TelnyxSignature(settings.public_key, self.clock),)
        self.api = Api(self.http, settings.base_url, f"Bearer {settings.api_key}")

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One event: a message, or statuses of one of ours."""
        try:
            return webhook.event(call.json(), self.clock())
        except ValueError as error:
            return [Unreadable(f"The event cannot be read: {error}", call.body)]

    def send(self, message: Message) -> str:
        """Send one message; Telnyx fetches its files from us by their signed links."""
        group = bool(message.participants)
        content = {
            "from": self._sender(message),
            "to": list(message.recipients) if group else message.peer,
            "text": message.text,
            "media_urls": [public_link(file) for file in message.media],
            "messaging_profile_id": None if group else self.settings.messaging_profile_id,
            "webhook_url": f"{self.webhook_url}?m={message.id}",
        }
        return self.api.post(
            "/messages/group_mms" if group else "/messages",
            lambda answer: parsing.word(
                parsing.fields(answer.get("data"), "data"), "id", needed=True
            ),
            json={name: value for name, value in content.items() if value},
        )

    def _sender(self, message: Message) -> str:
        """The number, or a name where names can be: as SMS, and not to the USA and Canada."""
        chosen = message.sender_id or message.number
        if _NUMBER.fullmatch(chosen):
            return chosen
        if not _NAME.fullmatch(chosen) or not self.settings.messaging_profile_id:
            raise SendError(f"“{chosen}” cannot be a sender at Telnyx. {_SENDERS}", Kind.REFUSED)
        as_name = not (message.media or message.participants or message.peer.startswith("+1"))
        return chosen if as_name else message.number

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """By Telnyx's id only: its records have neither our id nor a search by text."""
        if message.provider_id is None:
            return None
        path = f"/messages/{quote(message.provider_id, safe='')}"
        found = self.api.record(path, lambda data: webhook.statuses(data, self.clock())) or []
        return found[0] if len(found) == 1 else None

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """The key, the numbers, and whether their messaging profiles lead here."""
        return check.findings(self.api, self.webhook_url, numbers)

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """Files are fetched by their address alone, and with the key where that is refused.

        Telnyx documents both. The key is shown to Telnyx's own domain only, not to its storage,
        whose folders belong to its customers.
        """
        ours = is_at(url, "telnyx.com") or is_below(url, f"{self.settings.base_url}/")
        if not ours and not is_at(url, "telnyxcloudstorage.com"):
            raise MediaError("The attachment is not at Telnyx's own address.", Kind.REFUSED)
        return self.api.headers if renew and ours else {}

    def simulated(self) -> SimulatedTelnyx:
        """Receipts, files and answers."""
        return SimulatedTelnyx(self.settings.base_url, self.webhook_url)

    def inbound_call(self, message: Message) -> WebhookCall:
        """The call for an inbound message."""
        payload = {
            "id": message.provider_id or message.id,
            "type": "MMS" if message.media or message.participants else "SMS",
            "from": {"phone_number": message.peer},
            "to": [{"phone_number": message.number, "status": "webhook_delivered"}],
            "cc": [number for number in message.participants if number != message.peer],
            "text": message.text,
            "media": [{"url": file.source_url} for file in message.media],
            "received_at": rfc3339(message.carrier_time or message.created_at),
            "autoresponse_type": message.opt_out.upper() if message.opt_out else None,
        }
        event = {"id": message.id, "event_type": "message.received", "payload": payload}
        return json_call({"data": event})

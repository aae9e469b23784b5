"""Wavix, SMS and MMS API v3 (https://docs.wavix.com/api-reference/sms-and-mms)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.config.parsers import switch, url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, MediaError
from services.core.keywords import STOP_WORDS
from services.core.messages import DeliveryStatus, Finding, Message, Parsed, WebhookCall, rfc3339
from services.providers.api_client import header_key, public_link
from services.providers.base import Limits, Provider, ProviderContext, json_call
from services.providers.url_checks import is_at, is_below
from services.providers.wavix import lookup, webhook
from services.providers.wavix.api import Api
from services.providers.wavix.check import findings
from services.providers.wavix.errors import TABLE
from services.providers.wavix.senders import sender_id, sender_of
from services.providers.wavix.simulated import SimulatedWavix

BASE_URL = "https://api.wavix.com"

# The types of file that Wavix takes for a picture message.
MEDIA_TYPES = (
    *("image/jpeg", "image/png", "image/bmp", "image/gif"),
    *("audio/wav", "audio/mpeg", "audio/amr", "audio/aac", "audio/midi", "audio/3gpp"),
    *("video/3gpp", "text/vcard"),
)


def base_url(value: str) -> str:
    """The API's address; a version at its end (``/v3``) is left out, each call has its own."""
    return re.sub(r"/v[0-9]+$", "", url(value))


class Wavix(Provider):
    """Wavix: SMS and MMS; messages and delivery reports on one address, known by its token."""

    name = "wavix"
    title = "Wavix"
    Simulated = SimulatedWavix
    limits = Limits(
        text=1630, unicode_text=670, media=5, media_bytes=1_000_000, media_types=MEDIA_TYPES
    )
    opt_out_codes = TABLE.opt_out_codes
    causes = TABLE.causes
    number_codes = TABLE.number_codes
    lookup_seconds = 3 * 86_400.0
    keeps_inbound = True
    webhook_hint = (
        "In Wavix under My Account, Default Destinations: paste it as Inbound SMS (webhook), or "
        "for one number under Numbers & Trunks, My Numbers as its Inbound SMS Endpoint. Delivery "
        "reports come there by themselves."
    )

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """The variables ``WAVIX_…``."""

        api_key: str = variable(
            "API key (Administration, API keys in the Wavix portal).", parse=header_key, secret=True
        )
        base_url: str = variable(
            "Address of the API.", parse=base_url, default=BASE_URL, example=BASE_URL
        )
        sender_id: str | None = variable(
            "Registered Sender ID shown instead of your numbers; empty: the number itself.",
            parse=sender_id,
            optional=True,
            example="+12025550143",
        )
        confirm_stop: bool = variable(
            "`true`: Textbridge answers STOP. Set it if people get no answer to STOP from Wavix.",
            parse=switch,
            default="false",
        )

    def __init__(self, settings: Settings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        # Wavix blocks STOP, QUIT and UNSUBSCRIBE; whether it answers them is not documented.
        self.handles_stop = frozenset() if settings.confirm_stop else STOP_WORDS
        self.api = Api(self.http, settings.base_url, settings.api_key, hidden=(self.webhook_token,))

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One event: a message has a ``message_body``, a delivery report has a ``status``."""
        return webhook.parse(call, self.clock())

    def send(self, message: Message) -> str:
        """Send one message; Wavix fetches its files from us by their signed links."""
        return self.api.post_message(
            {
                "from": sender_of(message, self.settings.sender_id).removeprefix("+"),
                "to": message.peer,
                "message_body": {
                    "text": message.text,
                    "media": [public_link(file) for file in message.media] or None,
                },
                "callback_url": self.webhook_url,
                "tag": message.id,
            }
        )

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """Files of Wavix's own hosts are fetched without credentials.

        Whether they need the key is not documented: one that is not handed over is asked for again
        with the key, which only the API's own host is ever shown.
        """
        at_api = is_below(url, self.settings.base_url + "/")
        if not at_api and not is_at(url, "wavix.com"):
            raise MediaError("The attachment is not at Wavix's own address.", Kind.REFUSED)
        return self.api.headers if renew and at_api else {}

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """Look for our id among the tags of Wavix's list."""
        return lookup.find_sent(self.api, message, self.clock())

    def missed(self, since: float) -> Iterable[Parsed]:
        """Inbound messages of Wavix's list."""
        return lookup.missed(self.api, since, self.clock())

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """The key, the Sender IDs, and for each number whether texts come in and go out."""
        return findings(self.api, numbers, self.settings.sender_id, self.webhook_url)

    def simulated(self) -> SimulatedWavix:
        """Receipts, files and answers."""
        return SimulatedWavix(self.settings.base_url)

    def inbound_call(self, message: Message) -> WebhookCall:
        """The call for an inbound message: numbers are digits alone, as Wavix writes them."""
        event = {
            "message_id": message.provider_id or message.id,
            "message_type": "mms" if message.media else "sms",
            "from": message.peer.removeprefix("+") or message.peer,
            "to": message.number.removeprefix("+"),
            "message_body": {
                "text": message.text,
                "media": [file.source_url for file in message.media] or None,
            },
            "received_at": rfc3339(message.carrier_time or message.created_at),
        }
        return json_call(event)

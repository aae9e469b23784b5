"""VoIP Innovations (Sangoma): out by the APIdaze REST API, in by the webhook “API POST”.

Experimental. The carrier publishes no reference: sending follows its own SDKs
(https://github.com/apidaze), the webhook follows calls that users have seen
(https://voipinnovations.atlassian.net/wiki names the settings of a number). Calls of any other form
go to quarantine.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.config.parsers import url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, SendError
from services.core.messages import Attachment, Finding, Message, Parsed, WebhookCall
from services.providers.api_client import public_link
from services.providers.base import Limits, Provider, ProviderContext, json_call
from services.providers.voipinnovations import webhook
from services.providers.voipinnovations.api import Api
from services.providers.voipinnovations.check import findings
from services.providers.voipinnovations.simulated import SimulatedVoipInnovations

BASE_URL = "https://cpaas-api.voipinnovations.com"

_DIGITS = re.compile(r"\+?[1-9][0-9]{2,14}", re.ASCII)


class VoipInnovations(Provider):
    """VoIP Innovations: SMS and MMS, no groups; webhooks with the token in the address."""

    name = "voipinnovations"
    title = "VoIP Innovations"
    Simulated = SimulatedVoipInnovations
    aliases = ("apidaze",)  # as FS PBX calls it
    env_prefix = "APIDAZE_"
    methods = ("GET", "POST")
    webhook_bytes = 10_000_000  # pictures come inside, in base64
    limits = Limits(media_bytes=500_000)
    receipts = False
    webhook_hint = (
        "In the Back Office of VoIP Innovations under SMS, in the settings of each number: set the "
        "destination type to API POST and paste it as the URL. A change takes up to an hour."
    )

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """The variables ``APIDAZE_…``."""

        api_key: str = variable(
            "API key of the application (not the login of the Back Office's API user).", secret=True
        )
        api_secret: str = variable("API secret of the application.", secret=True)
        base_url: str = variable(
            "Address of the APIdaze REST API.", parse=url, default=BASE_URL, example=BASE_URL
        )

    def __init__(self, settings: Settings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.api = Api(self.http, settings.base_url, settings.api_key, settings.api_secret)

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One message or one receipt."""
        return webhook.parse(call)

    def send(self, message: Message) -> str:
        """Send one message. The carrier fetches the files from us, by their signed links."""
        sender = message.sender_id or message.number
        if not _DIGITS.fullmatch(sender):
            raise SendError(
                f"“{sender}” cannot be a sender at VoIP Innovations. Use a number such as "
                "+12025550143.",
                Kind.REFUSED,
            )
        form = {
            "from": sender.removeprefix("+"),
            "to": message.peer.removeprefix("+"),
            "body": message.text or " ",  # an empty one is refused
            "message_type": "MMS" if message.media else "SMS",
            "num_retries": "3",
            "skip_defer": "0",
        }
        for position, file in enumerate(message.media):
            form[f"file_urls[{position}]"] = public_link(file)
        if message.media:
            form["skip_file_error"] = "0"  # rather no message than one without its picture
        return self.api.send(form)

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """Whether the credentials work. About numbers the carrier cannot be asked."""
        return findings(self.api, numbers)

    def simulated(self) -> SimulatedVoipInnovations:
        """Receipts, files and answers."""
        return SimulatedVoipInnovations()

    def inbound_call(self, message: Message) -> WebhookCall:
        """The call for an inbound message; the ``uuid`` is ours, no real call had one yet."""
        event: dict[str, Any] = {
            "type": "incomingWebhookMMS" if message.media else "incomingWebhookSMS",
            "caller_id_number": message.peer.removeprefix("+") or message.peer,
            "destination_number": message.number.removeprefix("+"),
            "text": message.text,
            "uuid": message.provider_id or message.id,
        }
        if message.media:
            event["fileUrls"] = [_described(file) for file in message.media]
        return json_call(event)


def _described(file: Attachment) -> Any:
    """A file of a call: an object with its bytes, or its address."""
    if file.content is None:
        return file.source_url
    return {"name": file.name, "base64": base64.b64encode(file.content).decode()}

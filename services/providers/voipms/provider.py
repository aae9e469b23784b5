"""VoIP.ms (https://wiki.voip.ms/article/SMS-MMS, https://voip.ms/m/apidocs.php)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.config.parsers import one_of, url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, MediaError, SendError
from services.core.messages import (
    Ack,
    DeliveryStatus,
    Finding,
    Message,
    Parsed,
    Status,
    WebhookCall,
)
from services.core.segments import count
from services.providers.api_client import public_link
from services.providers.base import Limits, Provider, ProviderContext, json_call
from services.providers.url_checks import is_at, is_below
from services.providers.voipms import lookup, webhook
from services.providers.voipms.api import Api
from services.providers.voipms.check import findings
from services.providers.voipms.errors import TABLE, TOO_LONG
from services.providers.voipms.numbers import ten_digits
from services.providers.voipms.simulated import SimulatedVoipMs

NOT_DELIVERED = "The recipient's carrier did not deliver the text (VoIP.ms reports “{}”)."
BASE_URL = "https://voip.ms/api/v1/rest.php"
SMS_TEXT, MMS_TEXT = 160, 2048
MEDIA_TYPES = (
    *("image/jpeg", "image/png", "image/gif"),
    *("audio/mpeg", "audio/wav", "audio/midi", "video/mp4", "video/3gpp"),
)

# By VOIPMS_LONG_TEXT.
_MMS = Limits(text=MMS_TEXT, media=3, media_bytes=1_200_000, media_types=MEDIA_TYPES)
LIMITS = {
    "mms": _MMS,
    "split": replace(_MMS, text=SMS_TEXT),
    "reject": replace(_MMS, text=SMS_TEXT, splits=False),
}


class VoipMs(Provider):
    """VoIP.ms: SMS and MMS; two kinds of webhook, both by the token in the address."""

    name = "voipms"
    title = "VoIP.ms"
    Simulated = SimulatedVoipMs
    limits = LIMITS["mms"]
    methods = ("POST", "GET")
    ack = Ack(body="ok")
    receipts = False
    number_codes = TABLE.number_codes
    causes = TABLE.causes
    lookup_seconds = 259_200.0
    keeps_inbound = True
    webhook_hint = (
        "In the VoIP.ms portal under DID Numbers, Manage DIDs: edit the number and paste it under "
        "Message Service as the SMS/MMS Webhook URL; then apply the changes."
    )

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """The variables ``VOIPMS_…``."""

        api_username: str = variable(
            "E-mail address with which you sign in to VoIP.ms.", example="texts@example.com"
        )
        api_password: str = variable(
            "API password (Main Menu, SOAP and REST/JSON API), not that of the portal.",
            secret=True,
        )
        base_url: str = variable(
            "Address of the API, without www.", parse=url, default=BASE_URL, example=BASE_URL
        )
        long_text: str = variable(
            "What does not fit one SMS (160 plain characters): `mms` sends it as MMS, `split` as "
            "several SMS, `reject` refuses it.",
            parse=one_of("mms", "split", "reject"),
            default="mms",
            example="mms",
        )

    def __init__(self, settings: Settings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.limits = LIMITS[settings.long_text]
        self.api = Api(self.http, settings.base_url, settings.api_username, settings.api_password)
        self._is_ours = context.is_ours

    def normalised(self, call: WebhookCall) -> WebhookCall:
        """A callback's address may divide its arguments by semicolons."""
        return webhook.with_ampersands(call)

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One message: JSON by POST, or the arguments of a callback by GET or as a form."""
        return webhook.parse(call, self.clock(), self._is_ours)

    def send(self, message: Message) -> str:
        """Send one message: as SMS what surely fits one, else what VOIPMS_LONG_TEXT says.

        A text that VoIP.ms finds too long after all has not been sent, so that it can still go as
        MMS unless that is not wanted.
        """
        sender, recipient = _ends(message)
        to = {"did": sender, "dst": recipient, "message": message.text}
        if not message.media and (self.settings.long_text != "mms" or _fits_sms(message.text)):
            try:
                return self.api.send("sendSMS", "sms", **to)
            except SendError as error:
                if error.code != TOO_LONG or self.settings.long_text == "reject":
                    raise
        links = {f"media{place}": public_link(file) for place, file in enumerate(message.media, 1)}
        return self.api.send("sendMMS", "mms", **to, **links)

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """Look the message up in VoIP.ms's lists, where it has no id of ours."""
        row = lookup.find(self.api, message, *_ends(message), self.clock())
        if row is None:
            return None
        failed = row.status is Status.FAILED
        return DeliveryStatus(
            status=row.status,
            event=row.carrier_status or "sent",
            provider_id=f"{row.kind}:{row.id}",
            message_id=message.id,
            peer=message.peer,
            reason=NOT_DELIVERED.format(row.carrier_status[:120]) if failed else None,
            at=row.at,
        )

    def missed(self, since: float) -> Iterable[Parsed]:
        """From VoIP.ms's lists of the last 90 days at most."""
        return list(lookup.missed(self.api, since, self.clock()))

    def parse_listed(self, entry: bytes) -> Iterable[Parsed]:
        """One row of a list, with the name of the list."""
        return [lookup.parse_listed(self.api, entry)]

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """Credentials, funds, and each number: whether it is there and its texts come here."""
        return list(findings(self.api, self.webhook_url, numbers))

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """Files of messages lie at VoIP.ms for everybody who knows their address."""
        base = f"{self.settings.base_url.rpartition('/')[0]}/"
        if not is_at(url, "voip.ms") and not is_below(url, base):
            raise MediaError("The attachment is not at VoIP.ms's own address.", Kind.REFUSED)
        return {}

    def simulated(self) -> SimulatedVoipMs:
        """Files and answers; it posts no receipts."""
        return SimulatedVoipMs(self.settings.base_url.rpartition("/")[0])

    def inbound_call(self, message: Message) -> WebhookCall:
        """The call of the JSON webhook for an inbound message."""
        at = datetime.fromtimestamp(message.carrier_time or message.created_at, UTC)
        carrier_id = (message.provider_id or message.id).rpartition(":")[2]
        payload = {
            "id": carrier_id,
            "record_type": "message",
            "from": {"phone_number": message.peer},
            "to": [{"phone_number": message.number, "status": "webhook_delivered"}],
            "text": message.text,
            "type": "MMS" if message.media else "SMS",
            "media": [{"url": file.source_url} for file in message.media],
            "received_at": at.isoformat(timespec="microseconds"),
        }
        event = {"event_type": "message.received", "record_type": "event", "payload": payload}
        return json_call({"data": {"id": carrier_id, **event}})


def _fits_sms(text: str) -> bool:
    """Whether a text is one SMS in the basic alphabet; VoIP.ms promises nothing for others."""
    cost = count(text)
    return cost.encoding == "GSM-7" and cost.units <= SMS_TEXT


def _ends(message: Message) -> tuple[str, str]:
    """Sender and recipient in ten digits; raises ``SendError``."""
    written = message.sender_id or message.number
    sender, recipient = ten_digits(written), ten_digits(message.peer)
    if sender is None:
        raise SendError(
            f"“{written}” cannot be a sender at VoIP.ms. Use a number of your account such as "
            "+12025550143; names are not possible.",
            Kind.REFUSED,
        )
    if recipient is None or message.participants:
        raise SendError(
            f"VoIP.ms sends to one ten-digit number of the USA or Canada, not to “{message.peer}”"
            + (" and others." if message.participants else "."),
            Kind.REFUSED,
        )
    return sender, recipient

"""Twilio, Programmable Messaging (https://www.twilio.com/docs/messaging/api)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from services.config.parsers import Parse, url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, MediaError, SendError
from services.core.messages import (
    Ack,
    DeliveryStatus,
    Finding,
    Message,
    Parsed,
    Unreadable,
    WebhookCall,
)
from services.core.phone_numbers import channel_of
from services.providers import parsing
from services.providers.api_client import public_link
from services.providers.base import Limits, Provider, ProviderContext
from services.providers.twilio.api import Api
from services.providers.twilio.check import findings
from services.providers.twilio.errors import NAME_REFUSED, TABLE
from services.providers.twilio.lookup import inbound, inbound_since, sent_as
from services.providers.twilio.sids import message_sid
from services.providers.twilio.signature import TwilioSignature, form_of, is_json
from services.providers.twilio.simulated import SimulatedTwilio
from services.providers.twilio.webhook import is_inbound, read_message, read_status
from services.providers.url_checks import is_below

BASE_URL = "https://api.twilio.com"
VERSION = "/2010-04-01"

# Where names are never shown as a sender (https://help.twilio.com/articles/223133767). Elsewhere
# Twilio's refusal of a name says so.
NUMBERS_ONLY = ("+1",)

# What Twilio takes for MMS (https://www.twilio.com/docs/messaging/guides/accepted-mime-types). All
# files and the text together stay below 5 MB.
MEDIA_BYTES = 4_990_000
MEDIA_TYPES = (
    *("image/jpeg", "image/png", "image/gif", "image/heic", "image/heif", "image/tiff"),
    *("image/bmp", "video/mp4", "video/mpeg", "video/quicktime", "video/webm", "video/3gpp"),
    *("video/3gpp2", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/webm", "audio/amr"),
    *("audio/3gpp", "audio/3gpp2", "text/vcard", "text/csv", "text/calendar", "application/pdf"),
)

_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}", re.ASCII)


def sid(start: str, what: str) -> Parse:
    """A parser of Twilio's identifiers: two letters and 32 hexadecimal digits."""

    def parse(value: str) -> str:
        if not re.fullmatch(f"{start}[0-9a-fA-F]{{32}}", value, re.ASCII):
            shape = f"{start} and 32 digits and letters a to f" if start else "32 digits and a to f"
            raise ValueError(f"{what} is {shape}.")
        return value

    return parse


def sender_name(value: str) -> str:
    """An alphanumeric sender ID."""
    if not _NAME.fullmatch(value):
        raise ValueError("it must be 1 to 11 letters, digits and spaces with a letter among them.")
    return value


def api_address(value: str) -> str:
    """The API's address, with or without its version at the end."""
    return url(value).removesuffix(VERSION)


class Twilio(Provider):
    """Twilio: SMS and MMS; webhooks are signed."""

    name = "twilio"
    title = "Twilio"
    Simulated = SimulatedTwilio
    methods = ("POST", "GET")
    ack = Ack(body="<Response/>", content_type="text/xml; charset=utf-8")
    limits = Limits(
        text=1600,
        media=10,
        media_bytes=MEDIA_BYTES,
        media_total_bytes=MEDIA_BYTES,
        media_types=MEDIA_TYPES,
        channels=("sms", "whatsapp", "rcs"),
    )
    lookup_seconds = 86_400.0
    # https://help.twilio.com/articles/223134027: single words only
    handles_stop = frozenset(
        {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
    )
    handles_help = True
    opt_out_codes = TABLE.opt_out_codes
    causes = TABLE.causes
    number_codes = TABLE.number_codes
    keeps_inbound = True
    media_redirects = (
        *("*.twilio.com", "*.twiliocdn.com", "s3.amazonaws.com", "s3-*.amazonaws.com"),
        *("s3.*.amazonaws.com", "*.s3.amazonaws.com", "*.s3.*.amazonaws.com"),
    )
    webhook_hint = (
        "In the Twilio Console under Phone Numbers, Manage, Active numbers, your number, Messaging "
        "Configuration: as the webhook for “A message comes in”, with HTTP POST. If the number is "
        "in a Messaging Service: in that service under Integration."
    )

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """The variables ``TWILIO_…``."""

        # Twilio signs its calls: a token in the address would prove nothing.
        webhook_token: str | None = field(default=None, kw_only=True, repr=False)
        account_sid: str = variable(
            "Account SID, on the Account Dashboard of the Twilio Console.",
            parse=sid("AC", "an Account SID"),
            example="AC00000000000000000000000000000000",
        )
        auth_token: str = variable(
            "The account's primary Auth Token, beside the Account SID.",
            parse=sid("", "an Auth Token"),
            secret=True,
        )
        base_url: str = variable(
            "Address of Twilio's API.", parse=api_address, default=BASE_URL, example=BASE_URL
        )
        sender_id: str | None = variable(
            "Name shown instead of your number where countries allow it; nobody can answer it.",
            parse=sender_name,
            optional=True,
            example="Harbour Cafe",
        )
        messaging_service_sid: str | None = variable(
            "Messaging Service through which texts go, if you use one.",
            parse=sid("MG", "a Messaging Service SID"),
            optional=True,
            example="MG00000000000000000000000000000000",
        )
        shared_key: str | None = variable(
            "Secret of the shared key that signs webhooks, if one is set at Twilio (beta).",
            optional=True,
            secret=True,
        )

    def __init__(self, settings: Settings, context: ProviderContext) -> None:
        super().__init__(settings, context)
        self.settings = settings
        self.proofs = (
            TwilioSignature(
                settings.auth_token,
                self.webhook_address,
                settings.account_sid,
                settings.shared_key,
            ),
        )
        self.api = Api(self.http, settings.base_url, settings.account_sid, settings.auth_token)

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One message, or the status of one of ours, from the form or the address."""
        if is_json(call):
            return [Unreadable("The body is JSON; texts come as forms.", call.body)]
        fields = dict(form_of(call))
        try:
            if is_inbound(fields):
                return [read_message(fields)]
            status = read_status(fields, call.argument("m"))
        except ValueError as error:
            return [Unreadable(str(error), call.body)]
        return [status] if status is not None else []

    def send(self, message: Message) -> str:
        """Send one message, under the name where one is set and allowed, else from the number.

        A peer at WhatsApp or RCS is answered there, by the same number.

        Where Twilio refuses the name for the recipient's country, the number is used.
        """
        if (channel := channel_of(message.peer)) != "sms":
            return self.api.post_message(self._form(message, f"{channel}:{message.number}"))
        name = self._name(message)
        if name is not None:
            try:
                return self.api.post_message(self._form(message, name))
            except SendError as error:
                if error.code not in NAME_REFUSED or error.kind is not Kind.REFUSED:
                    raise
        return self.api.post_message(self._form(message, self._number(message)))

    def _name(self, message: Message) -> str | None:
        """The name to send under. Names carry no pictures, and short codes take none."""
        chosen = message.sender_id or self.settings.sender_id
        if chosen is None or _NUMBER.fullmatch(chosen):
            return None
        if not _NAME.fullmatch(chosen):
            raise SendError(
                f"“{chosen}” cannot be a sender at Twilio. Use a number such as +12025550143 or a "
                "name of at most 11 letters, digits and spaces with a letter in it.",
                Kind.REFUSED,
            )
        numbers_only = message.media or message.peer.startswith(NUMBERS_ONLY)
        return None if numbers_only or not message.peer.startswith("+") else chosen

    def _number(self, message: Message) -> str:
        chosen = message.sender_id or ""
        return chosen if _NUMBER.fullmatch(chosen) else message.number

    def _form(self, message: Message, sender: str) -> list[tuple[str, str]]:
        service = self.settings.messaging_service_sid
        return [
            ("To", message.peer),
            ("From", sender),
            *([("MessagingServiceSid", service)] if service else []),
            *([("Body", message.text)] if message.text else []),
            *(("MediaUrl", public_link(file)) for file in message.media),
            ("StatusCallback", f"{self.webhook_url}?{urlencode({'m': message.id})}"),
        ]

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """Credentials for files of our own account at Twilio, and for nothing else."""
        folder = f"{VERSION}/Accounts/{self.settings.account_sid}/Messages/"
        if not any(is_below(url, base + folder) for base in (self.settings.base_url, BASE_URL)):
            raise MediaError("The attachment is not at Twilio's own address.", Kind.REFUSED)
        return self.api.headers

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """The first message with the same text to the same recipient of about the time."""
        senders = {message.number, message.sender_id, self.settings.sender_id}
        senders.add(f"{channel_of(message.peer)}:{message.number}")
        return sent_as(self.api, message, senders)

    def missed(self, since: float) -> Iterable[Parsed]:
        """The inbound messages of the account's list."""
        return inbound_since(self.api, since)

    def parse_listed(self, entry: bytes) -> Iterable[Parsed]:
        """One message of Twilio's list; it is JSON and not a form as in a webhook."""
        try:
            row = parsing.fields(WebhookCall("POST", {}, "", entry).json(), "message")
        except ValueError as error:
            return [Unreadable(str(error), entry)]
        return [inbound(self.api, row)]

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """The credentials, the account's state, and the numbers' webhooks."""
        return findings(self.api, self.webhook_url, numbers)

    def simulated(self) -> SimulatedTwilio:
        """Receipts, files and answers."""
        account = self.settings.account_sid
        messages = f"{self.settings.base_url}{VERSION}/Accounts/{account}/Messages"
        return SimulatedTwilio(messages, account)

    def inbound_call(self, message: Message) -> WebhookCall:
        """The call for an inbound message: a form."""
        account, our_sid = self.settings.account_sid, message_sid(message)
        form = {
            "ToCountry": "US",
            "ToState": "",
            "SmsMessageSid": our_sid,
            "NumMedia": str(len(message.media)),
            "SmsSid": our_sid,
            "SmsStatus": "received",
            "Body": message.text,
            "To": message.number,
            "NumSegments": str(message.segments),
            "MessageSid": our_sid,
            "AccountSid": account,
            "From": message.peer,
            "ApiVersion": VERSION[1:],
            **{f"MediaUrl{n}": file.source_url or "" for n, file in enumerate(message.media)},
            **({"OptOutType": message.opt_out.upper()} if message.opt_out else {}),
        }
        headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
        return WebhookCall("POST", headers, "", urlencode(form).encode())

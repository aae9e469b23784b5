"""VoIP Innovations (Sangoma): out by the APIdaze REST API, in by the webhook “API POST”.

Experimental. The carrier publishes no reference: the way out is what its own SDKs do
(https://github.com/apidaze), the way in is what those who use it have seen
(https://voipinnovations.atlassian.net/wiki names the settings of a number). Whatever looks
otherwise goes to quarantine, and nothing is guessed.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from services.config.parsers import url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, SendError
from services.core.messages import DeliveryStatus, Message, Parsed, Status, Unreadable, WebhookCall
from services.providers import reading
from services.providers.base import Finding, Limits, Provider, Surroundings, require_token
from services.providers.voipinnovations_api import Api
from services.providers.voipinnovations_files import attached

BASE_URL = "https://cpaas-api.voipinnovations.com"

# The names of the same thing in the shapes that have been seen, the surest first.
KIND = ("type", "messageType")
SENDER = ("caller_id_number", "from")
NUMBER = ("destination_number", "to")
TEXT = ("text", "body", "message")
ID = ("uuid", "message_uuid", "message_id", "msgid")  # “id” may be anything, the number's for one

INBOUND = {"incomingwebhooksms", "incomingwebhookmms", "sms", "mms"}
STATUSES = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "undelivered": Status.FAILED,
    "failed": Status.FAILED,
}
NOT_DELIVERED = "VoIP Innovations reports that the text was not delivered, and does not say why."

_DIGITS = re.compile(r"\+?[1-9][0-9]{2,14}", re.ASCII)
_NATIONAL = re.compile(r"[2-9][0-9]{9}", re.ASCII)
_INTERNATIONAL = re.compile(r"[1-9][0-9]{10,14}", re.ASCII)


class VoipInnovations(Provider):
    """VoIP Innovations: SMS and MMS between two; let in by the token in the address."""

    name = "voipinnovations"
    title = "VoIP Innovations"
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

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self.api = Api(self.http, settings.base_url, settings.api_key, settings.api_secret)

    def verify(self, call: WebhookCall) -> None:
        require_token(self, call)

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One message or one receipt.

        A message whose files cannot be read is handed over without them, and the call is kept as
        unreadable beside it: the words must not wait for the pictures.
        """
        try:
            told = _told(call)
            if "status" in told and not any(name in told for name in TEXT):
                return [_receipt(told)]
            message = _message(told)
        except ValueError as error:
            return [Unreadable(str(error), call.body)]
        unread = [file.reason for file in message.media if file.reason]
        return [message, *(Unreadable(reason, call.body) for reason in unread[:1])]

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
            if file.source_url is None:
                raise SendError("An attachment is not there yet.", Kind.RETRY)
            form[f"file_urls[{position}]"] = file.source_url
        if message.media:
            form["skip_file_error"] = "0"  # rather no message than one without its picture
        return self.api.send(form)

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """Whether the credentials work. About numbers the carrier cannot be asked."""
        try:
            self.api.validate()
        except SendError as error:
            if error.kind is Kind.CONFIG:
                return [Finding(False, error.reason)]
            raise
        return [
            Finding(True, "VoIP Innovations accepts the API key and the API secret."),
            Finding(
                True,
                "VoIP Innovations cannot be asked about numbers. See in its Back Office under SMS "
                "that each of these has the destination type API POST with the address of `flask "
                f"webhooks`, and belongs to a 10DLC campaign: {', '.join(numbers) or 'none yet'}.",
            ),
        ]

    def example(self, message: Message) -> WebhookCall:
        """The call for an inbound message; the ``uuid`` is ours, no real call had one yet."""
        event: dict[str, Any] = {
            "type": "incomingWebhookMMS" if message.media else "incomingWebhookSMS",
            "caller_id_number": message.peer.removeprefix("+"),
            "destination_number": message.number.removeprefix("+"),
            "text": message.text,
            "uuid": message.provider_id or message.id,
        }
        if message.media:
            event["fileUrls"] = [file.source_url for file in message.media]
        headers = {"content-type": "application/json"}
        return WebhookCall("POST", headers, self.token_query, json.dumps(event).encode())


def _told(call: WebhookCall) -> dict[str, Any]:
    """What a call says: its body, be it JSON or a form, and the query for what is not there."""
    arguments = parse_qsl(call.query, keep_blank_values=True)
    query = {name: value for name, value in arguments if name != "token"}
    if not call.body.strip():
        if not query:
            raise ValueError("The call says nothing.")
        return query
    content_type = call.headers.get("content-type", "").lower()
    # JSON under the header of a form is a common slip.
    if content_type.startswith("application/x-www-form-urlencoded") and (
        not call.body.lstrip().startswith(b"{")
    ):
        return {**query, **dict(call.form())}
    try:
        told = call.json()
    except ValueError as error:
        raise ValueError(f"The body is not JSON: {error}") from None
    return {**query, **reading.fields(told, "body")}


def _message(told: Mapping[str, Any]) -> Message:
    """An inbound message. It has no id of the carrier's, and no time, in what has been seen."""
    kind = _word(told, KIND)
    if kind and kind.lower() not in INBOUND:
        raise ValueError(f"“{kind}” is no kind of message that is known.")
    media = attached(told)
    written = next((name for name in TEXT if name in told), None)
    sender, number = _word(told, SENDER, needed=True), _word(told, NUMBER, needed=True)
    if written is None and not media:
        raise ValueError("“text” is missing.")
    return Message(
        direction="in",
        number=_with_plus(number),
        peer=_with_plus(sender),
        text=reading.text(told[written], written) if written else "",
        media=media,
        provider=VoipInnovations.name,
        provider_id=_word(told, ID) or None,
    )


def _receipt(told: Mapping[str, Any]) -> DeliveryStatus:
    """What became of a message. Its words are not documented: one that is not known is kept."""
    word = reading.word(told, "status", needed=True)
    if word.lower() not in STATUSES:
        raise ValueError(f"The status “{word}” is not known.")
    status = STATUSES[word.lower()]
    return DeliveryStatus(
        status=status,
        event=word,
        provider_id=_word(told, ID, needed=True),
        peer=_with_plus(_word(told, NUMBER)),
        reason=NOT_DELIVERED if status is Status.FAILED else None,
    )


def _word(told: Mapping[str, Any], names: Sequence[str], *, needed: bool = False) -> str:
    """The first of several names that says something."""
    for name in names:
        found = reading.word(told, name).strip()
        if found:
            return found
    if needed:
        raise ValueError(f"“{names[0]}” is missing.")
    return ""


def _with_plus(written: str) -> str:
    """A number as the carrier writes it, in E.164; a short code as it came.

    >>> _with_plus("13035550177"), _with_plus("3035550177"), _with_plus("72404")
    ('+13035550177', '+13035550177', '72404')
    """
    if _NATIONAL.fullmatch(written):
        return f"+1{written}"
    return f"+{written}" if _INTERNATIONAL.fullmatch(written) else written

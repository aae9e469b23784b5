"""Wavix, SMS and MMS API v3 (https://docs.wavix.com/api-reference/sms-and-mms)."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.config.parsers import url
from services.config.sections import CarrierSettings
from services.config.variables import variable
from services.core.errors import Kind, MediaError, SendError
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
    rfc3339,
)
from services.providers import reading
from services.providers.addresses import is_at, is_below
from services.providers.base import Finding, Limits, Provider, Surroundings, require_token
from services.providers.wavix_api import Api
from services.providers.wavix_check import findings
from services.providers.wavix_errors import explained
from services.providers.wavix_senders import sender_id, sender_of

BASE_URL = "https://api.wavix.com"
DAY = 86_400.0

# Whatever Wavix tells of a message, it has taken it.
STATUSES = {
    "accepted": Status.SENT,
    "pending": Status.SENT,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "undelivered": Status.FAILED,
    "rejected": Status.FAILED,
    "expired": Status.FAILED,
    "dlr_expired": Status.SENT,
}
# What a status means by itself, where Wavix gives no reason.
REASONS = {
    "expired": "The message was too old when its turn came, and was not sent.",
    "dlr_expired": "The recipient's carrier has not confirmed the delivery. The text may well "
    "have arrived.",
}

# The types of file that Wavix takes for a picture message.
MEDIA_TYPES = (
    *("image/jpeg", "image/png", "image/bmp", "image/gif"),
    *("audio/wav", "audio/mpeg", "audio/amr", "audio/aac", "audio/midi", "audio/3gpp"),
    *("video/3gpp", "text/vcard"),
)

_DIGITS = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)
_OUR_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def api_key(value: str) -> str:
    """An API key: printable characters without spaces, as it goes into a header."""
    if not re.fullmatch(r"[!-~]+", value, re.ASCII):
        raise ValueError("it must be the key as Wavix shows it, without spaces.")
    return value


def base_url(value: str) -> str:
    """The API's address; a version at its end (``/v3``) is left out, each call has its own."""
    return re.sub(r"/v[0-9]+$", "", url(value))


class Wavix(Provider):
    """Wavix: SMS and MMS; messages and delivery reports on one address, known by its token."""

    name = "wavix"
    title = "Wavix"
    limits = Limits(
        text=1630, unicode_text=670, media=5, media_bytes=1_000_000, media_types=MEDIA_TYPES
    )
    lookup_seconds = 3 * DAY
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
            "API key (Administration, API keys in the Wavix portal).", parse=api_key, secret=True
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

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self.settings = settings
        self.api = Api(self.http, settings.base_url, settings.api_key, hidden=(self.webhook_token,))

    def verify(self, call: WebhookCall) -> None:
        """The token in the address: Wavix signs nothing."""
        require_token(self, call)

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One event: a message has a ``message_body``, a delivery report has a ``status``."""
        try:
            event = call.json()
        except ValueError as error:
            return [Unreadable(f"The body is not JSON: {error}", call.body)]
        parsed = self._event(event, call.body)
        return [] if parsed is None else [parsed]

    def _event(self, event: Any, body: bytes) -> Parsed | None:
        try:
            told = reading.fields(event, "event")
            outbound = reading.word(told, "direction") == "outbound"
            if "message_body" in told and not outbound:
                return self._message(told)
            if "status" in told:
                word = reading.word(told, "status", needed=True).lower()
                return self._status(told, word) if word in STATUSES else None
            raise ValueError("This is neither a message nor a delivery report.")
        except ValueError as error:
            return Unreadable(str(error), reading.alone(event, body))

    def _message(self, told: Mapping[str, Any]) -> Message:
        """An inbound message, from the webhook or from the list, which calls its time otherwise."""
        body = reading.fields(told.get("message_body"), "message_body")
        return Message(
            direction="in",
            number=_address(reading.word(told, "to", needed=True)),
            peer=_address(reading.word(told, "from", needed=True)),
            text=reading.text(body.get("text"), "text"),
            media=tuple(
                Attachment(source_url=link, name=reading.file_name(link))
                for link in reading.words(body, "media")
            ),
            provider=self.name,
            provider_id=reading.word(told, "message_id", needed=True),
            carrier_time=reading.moment(told.get("received_at") or told.get("submitted_at")),
        )

    def _status(self, told: Mapping[str, Any], word: str) -> DeliveryStatus:
        """What became of a message, from a delivery report or from the list."""
        status = STATUSES.get(word, Status.SENT)
        words = reading.text(told.get("error"), "error") or reading.text(
            told.get("error_message"), "error_message"
        )
        code, reason = None, REASONS.get(word)
        if status is Status.FAILED and (words or reason is None):
            follows, code, reason = explained(words.strip())
            # Taken twice is no failure: it must not be sent again as if it had not arrived.
            status = Status.SENT if follows is Kind.UNKNOWN else status
            reason += " Sending it again later may work." if follows is Kind.RETRY else ""
        tag = reading.word(told, "tag")
        times = ("delivered", "delivered_at", "sent", "sent_at", "submitted_at")
        known = (reading.moment(told.get(name)) for name in times)
        return DeliveryStatus(
            status=status,
            event=word,
            provider_id=reading.word(told, "message_id", needed=True),
            message_id=tag if _OUR_ID.fullmatch(tag) else None,
            peer=_address(reading.word(told, "to")),
            code=code,
            reason=reason,
            at=next((at for at in known if at is not None), None) or time.time(),
        )

    def send(self, message: Message) -> str:
        """Send one message; Wavix fetches its files from us by their signed links."""
        return self.api.post_message(
            {
                "from": sender_of(message, self.settings.sender_id).removeprefix("+"),
                "to": message.peer,
                "message_body": {
                    "text": message.text,
                    "media": [_link(file) for file in message.media] or None,
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
        return {"Authorization": self.api.authorization} if renew and at_api else {}

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """Look for our id among the tags. Its dates have no time zone: a day more on each side."""
        sent = self.api.messages(
            type="outbound",
            tag=message.id,
            sent_after=_date(message.created_at - DAY),
            sent_before=_date(time.time() + DAY),
        )
        for told in sent:
            if isinstance(told, dict) and told.get("tag") == message.id:
                try:
                    return self._status(told, reading.word(told, "status").lower())
                except ValueError as error:
                    reason = f"What Wavix has of the message cannot be read: {error}"
                    raise SendError(reason, Kind.RETRY) from None
        return None

    def missed(self, since: float) -> Iterable[Parsed]:
        """Inbound messages of Wavix's list, which knows days only; earlier ones are left out."""
        listed = self.api.messages(
            type="inbound",
            sent_after=_date(since - DAY),
            sent_before=_date(time.time() + DAY),
        )
        for told in listed:
            parsed = self._event(told, reading.alone(told, b""))
            if isinstance(parsed, Message) and (parsed.carrier_time or since) < since:
                continue
            if parsed is not None and not isinstance(parsed, DeliveryStatus):
                yield parsed

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """The key, the Sender IDs, and for each number whether texts come in and go out."""
        return findings(self.api, numbers, self.settings.sender_id, self.webhook_url)

    def example(self, message: Message) -> WebhookCall:
        """The call for an inbound message: numbers are digits alone, as Wavix writes them."""
        event = {
            "message_id": message.provider_id or message.id,
            "message_type": "mms" if message.media else "sms",
            "from": message.peer.removeprefix("+"),
            "to": message.number.removeprefix("+"),
            "message_body": {
                "text": message.text,
                "media": [file.source_url for file in message.media] or None,
            },
            "received_at": rfc3339(message.carrier_time or message.created_at),
        }
        headers = {"content-type": "application/json"}
        return WebhookCall("POST", headers, self.token_query, json.dumps(event).encode())


def _address(written: str) -> str:
    """A number as Wavix writes it, international without its plus, in E.164.

    Short codes and names stay as they are.
    """
    return f"+{written}" if _DIGITS.fullmatch(written) else written


def _link(file: Attachment) -> str:
    if file.source_url is None:
        raise SendError("An attachment is not there yet.", Kind.RETRY)
    return file.source_url


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()

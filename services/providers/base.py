"""What a carrier is to Textbridge: one class that verifies, reads and sends."""

import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import ClassVar
from urllib.parse import quote

from services.config.sections import CarrierSettings
from services.core.errors import InvalidWebhook, Kind, MediaError
from services.core.messages import Ack, DeliveryStatus, Message, Parsed, WebhookCall
from services.core.messages import Finding as Finding  # the carriers' word, too
from services.http.client import Http


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may hold at a carrier; longer texts are split into several messages.

    ``text`` is in characters, ``media_bytes`` is the size of one file, ``recipients`` the size of a
    group. ``media_types`` are prefixes such as ``image/``. Without ``splits`` a longer text is
    refused instead.
    """

    text: int = 1600
    unicode_text: int = field(default=0, kw_only=True)  # outside of GSM-7, in UTF-16; 0: as text
    media: int = 10
    media_bytes: int = 3_500_000
    media_types: tuple[str, ...] = ("image/", "audio/", "video/", "text/", "application/pdf")
    recipients: int = 1
    splits: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a carrier finds in the house: the way out, its webhook's token, our public address."""

    http: Http
    webhook_token: str
    app_url: str


class Provider(ABC):
    """One carrier.

    A subclass declares its data, then ``verify``, ``parse`` and ``send`` in wire order. What it
    hands over is raw: phone numbers are normalised, and everything is stored, by the gateway.
    """

    name: ClassVar[str]  # in the webhook's address, in .env (upper case) and in Message Settings
    title: ClassVar[str]  # as the carrier writes itself
    Settings: ClassVar[type[CarrierSettings]]
    env_prefix: ClassVar[str] = ""  # where .env names the carrier otherwise than ``name``
    methods: ClassVar[tuple[str, ...]] = ("POST",)
    ack: ClassVar[Ack] = Ack()
    challenge: ClassVar[Mapping[str, str]] = {}  # headers of the 401
    limits: Limits = Limits()  # of the class, or of the object where they depend on its settings
    webhook_bytes: ClassVar[int] = 1_000_000  # the largest body that the webhook takes
    receipts: ClassVar[bool] = True  # whether delivery receipts come by webhook; else we ask
    lookup_seconds: ClassVar[float] = 0.0  # how long ``find_sent`` can find a message
    keeps_inbound: ClassVar[bool] = False  # whether ``missed`` can tell what we have missed
    webhook_hint: ClassVar[str] = ""  # where at the carrier the webhook's address belongs
    token_in_url: ClassVar[bool] = True  # false where the carrier signs its calls instead
    media_redirects: ClassVar[tuple[str, ...]] = ()  # hosts (patterns) that attachments may move to

    def __init__(self, settings: CarrierSettings, around: Surroundings) -> None:
        self.allow = settings.webhook_allow
        self.rate = settings.rate
        self.number_rate = settings.number_rate
        self.http = around.http
        self.webhook_token = around.webhook_token
        self.app_url = around.app_url

    @classmethod
    def prefix(cls) -> str:
        """The prefix of the carrier's variables, such as ``BANDWIDTH_``."""
        return cls.env_prefix or f"{cls.name.upper()}_"

    @property
    def webhook_url(self) -> str:
        """The address to paste at the carrier, token included where it proves who calls."""
        address = f"{self.app_url}/webhook/{self.name}/sms"
        return f"{address}?{self.token_query}" if self.token_in_url else address

    @property
    def token_query(self) -> str:
        """The webhook's token as it stands in an address."""
        return f"token={quote(self.webhook_token, safe='')}"

    def has_token(self, call: WebhookCall) -> bool:
        """Whether the call carries the webhook's token (``?token=``), in constant time."""
        return same(call.argument("token"), self.webhook_token)

    def admits(self, remote: str) -> bool:
        """Whether a caller's address may call at all (``<NAME>_WEBHOOK_ALLOW``)."""
        if self.allow is None:
            return True
        try:
            return any(ip_address(remote) in network for network in self.allow)
        except ValueError:
            return False

    @abstractmethod
    def verify(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` unless the call proves that it comes from the carrier.

        Runs before anything of the body is read.
        """

    @abstractmethod
    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """Read an authentic call: messages, delivery statuses, and what could not be read.

        What the carrier says and we do not care about is left out. Never raises for bad input.
        """

    @abstractmethod
    def send(self, message: Message) -> str:
        """Send one message and return the carrier's id for it.

        ``message.media`` holds kept files (``path``). Raises ``SendError``.
        """

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """The headers (credentials) with which an attachment of a webhook may be fetched.

        ``renew`` asks for new ones because the last were not taken.

        Raises ``MediaError`` for an address that is not the carrier's own: a webhook must never
        make us show credentials, or ourselves, to somebody else.
        """
        raise MediaError(f"{self.title} offers no files.", Kind.REFUSED)

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """Look up at the carrier what became of a message that may have been sent.

        ``None`` where the carrier has no trace of it. Raises ``SendError``; a carrier that cannot
        be asked (``lookup_seconds`` is 0) is never asked.
        """
        return None

    def missed(self, since: float) -> Iterable[Parsed]:
        """Inbound messages that the carrier has from a time (seconds since 1970) on.

        They are the same as by webhook, ids included. Raises ``SendError``; only asked of a carrier
        that ``keeps_inbound``.
        """
        return ()

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """Whether the credentials work and whether these numbers can text at the carrier.

        Raises ``SendError`` where not even the credentials can be checked.
        """
        return ()

    @abstractmethod
    def example(self, message: Message) -> WebhookCall:
        """The call that the carrier would make for an inbound message, properly authenticated."""


def same(offered: str, expected: str) -> bool:
    """Compare a secret in constant time; an empty one is never right."""
    return bool(expected) and hmac.compare_digest(
        offered.encode("utf-8", "surrogateescape"), expected.encode("utf-8", "surrogateescape")
    )


def require_token(provider: Provider, call: WebhookCall) -> None:
    """The check of carriers that have nothing better than the token in the address."""
    if not provider.has_token(call):
        raise InvalidWebhook("The webhook's token is missing or wrong.")

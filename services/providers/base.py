"""Base class of the carriers: verifies webhooks, parses them, sends messages."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from services.config.sections import CarrierSettings
from services.core.errors import InvalidWebhook, Kind, MediaError
from services.core.ip_addresses import is_in, parse_address
from services.core.messages import Ack, DeliveryStatus, Finding, Message, Parsed, WebhookCall
from services.http.client import Http
from services.providers.error_table import Cause
from services.providers.proofs import Proof, Token
from services.providers.simulation import SimulatedCarrier


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one message at a carrier; longer texts are split into several messages.

    ``text`` is in characters as ``core.segments.split`` counts them, ``media_bytes`` is the size of
    one file, ``media_total_bytes`` that of all files of a message (0: no limit of its own),
    ``recipients`` the size of a group. ``media_types`` are types, or their first halves such as
    ``image/``. Without ``splits`` a longer text is refused instead.
    """

    text: int = 1600
    unicode_text: int = field(default=0, kw_only=True)  # outside of GSM-7, in UTF-16; 0: as text
    media: int = 10
    media_bytes: int = 3_500_000
    media_total_bytes: int = field(default=0, kw_only=True)
    media_types: tuple[str, ...] = ("image/", "audio/", "video/", "text/", "application/pdf")
    recipients: int = 1
    channels: tuple[str, ...] = ("sms",)  # ways to a phone, see ``phone_numbers.channel_of``
    splits: bool = True

    def takes(self, content_type: str) -> bool:
        """Whether files of a type are taken.

        >>> Limits(media_types=("audio/amr", "image/")).takes("audio/amr-wb")
        False
        """
        major = f"{content_type.partition('/')[0]}/"
        return content_type in self.media_types or major in self.media_types


def system_clock() -> float:
    """The time of this machine in seconds since 1970."""
    return time.time()


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a carrier gets by constructor: HTTP client, webhook token, public address, clock.

    ``clock`` returns seconds since 1970. ``is_ours`` tells whether a number (E.164) is in Message
    Settings, for a carrier whose calls name several numbers without saying which is ours.
    """

    http: Http
    webhook_token: str
    app_url: str
    clock: Callable[[], float] = system_clock
    is_ours: Callable[[str], bool] = lambda number: False


def json_call(content: Any) -> WebhookCall:
    """A webhook call with JSON as its body, for ``Provider.inbound_call``."""
    headers = {"content-type": "application/json"}
    return WebhookCall("POST", headers, "", json.dumps(content).encode())


class Provider(ABC):
    """One carrier.

    A subclass declares its data and its ``proofs``, then ``parse`` and ``send``. Its results
    are raw: the caller normalises the phone numbers and stores everything.

    ``proofs`` are what can prove that a call comes from the carrier; one of them is enough, and the
    first is the one that the carrier uses here. Where a carrier has nothing better, it is the token
    in the webhook's address.
    """

    name: ClassVar[str]  # in the webhook's address, in .env (upper case) and in Message Settings
    aliases: ClassVar[tuple[str, ...]] = ()  # other names in the address and in Message Settings
    title: ClassVar[str]  # as the carrier writes itself
    Settings: ClassVar[type[CarrierSettings]]
    Simulated: ClassVar[type[SimulatedCarrier]]
    env_prefix: ClassVar[str] = ""  # where .env names the carrier otherwise than ``name``
    methods: ClassVar[tuple[str, ...]] = ("POST",)
    ack: ClassVar[Ack] = Ack()
    challenge: ClassVar[Mapping[str, str]] = {}  # headers of the 401
    limits: Limits = Limits()  # of the class, or of the object where they depend on its settings
    webhook_bytes: ClassVar[int] = 1_000_000  # the largest body that the webhook takes
    unproven_bytes: ClassVar[int] = 100_000  # the same where only the body can prove who calls
    receipts: ClassVar[bool] = True  # whether delivery receipts come by webhook; else we ask
    lookup_seconds: ClassVar[float] = 0.0  # how long ``find_sent`` can find a message
    keeps_inbound: ClassVar[bool] = False  # whether ``missed`` can list inbound messages
    webhook_hint: ClassVar[str] = ""  # where at the carrier the webhook's address belongs
    handles_stop: frozenset[str] = frozenset()  # words (``keywords.normalised``) that it answers
    handles_help: ClassVar[bool] = False  # whether it answers HELP itself
    opt_out_codes: ClassVar[frozenset[str]] = frozenset()  # of sends to who has opted out there
    number_codes: ClassVar[frozenset[str]] = (
        frozenset()
    )  # by which it refuses the number that sends
    causes: ClassVar[Mapping[str, Cause]] = {}  # what kind of trouble each error code is
    media_redirects: ClassVar[tuple[str, ...]] = ()  # hosts (patterns) that attachments may move to

    def __init__(self, settings: CarrierSettings, context: ProviderContext) -> None:
        self.allow = settings.webhook_allow
        self.rate = settings.rate
        self.number_rate = settings.number_rate
        self.http = context.http
        self.webhook_token = context.webhook_token
        self.app_url = context.app_url
        self.clock = context.clock
        self.proofs: tuple[Proof, ...] = (Token(context.webhook_token),)

    @classmethod
    def prefix(cls) -> str:
        """The prefix of the carrier's variables, such as ``BANDWIDTH_``."""
        return cls.env_prefix or f"{cls.name.upper()}_"

    @property
    def webhook_address(self) -> str:
        """The webhook's address without arguments."""
        return f"{self.app_url}/webhook/{self.name}/sms"

    @property
    def webhook_url(self) -> str:
        """The address to paste at the carrier, token included where it proves who calls."""
        tokens = [proof.query for proof in self.proofs if isinstance(proof, Token)]
        return "?".join([self.webhook_address, *tokens[:1]])

    @property
    def most_body_bytes(self) -> int:
        """The largest body that the webhook takes: a small one where it is read unproven."""
        if any("body" in proof.covers for proof in self.proofs):
            return self.unproven_bytes
        return self.webhook_bytes

    @property
    def token_in_url(self) -> bool:
        """Whether a token in the webhook's address lets a call in."""
        return any(isinstance(proof, Token) for proof in self.proofs)

    def normalised(self, call: WebhookCall) -> WebhookCall:
        """A call in its usual form, before anything else is done with it."""
        return call

    def admits(self, remote: str) -> bool:
        """Whether a caller's address may call at all (``<NAME>_WEBHOOK_ALLOW``)."""
        return self.allow is None or is_in(parse_address(remote), self.allow)

    def verify_head(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` for a call that no body can make one of the carrier's.

        Runs before the body is read: ``call.body`` is empty.
        """
        _require_any(call, [proof.require_head for proof in self.proofs])

    def verify(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` unless the call proves that it comes from the carrier.

        Runs before the body is parsed.
        """
        _require_any(call, [proof.require for proof in self.proofs])

    @abstractmethod
    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """Read an authentic call: messages, delivery statuses, and what could not be read.

        Events that do not concern us are left out. Never raises for bad input.
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
        make us send credentials, or a request at all, to another host.
        """
        raise MediaError(f"{self.title} offers no files.", Kind.REFUSED)

    def find_sent(self, message: Message) -> DeliveryStatus | None:
        """Look up the status of a message that may have been sent at the carrier.

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

    def parse_listed(self, entry: bytes) -> Iterable[Parsed]:
        """Parse an entry of the carrier's list that ``missed`` returned as ``Unreadable``.

        ``entry`` is the body that ``missed`` gave it. Raises ``SendError`` if the carrier has to be
        asked for the rest of the message and cannot be.
        """
        return self.parse(WebhookCall("POST", {}, "", entry))

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """Whether the credentials work and whether these numbers can text at the carrier.

        Raises ``SendError`` where not even the credentials can be checked.
        """
        return ()

    @abstractmethod
    def inbound_call(self, message: Message) -> WebhookCall:
        """The call that the carrier makes for an inbound message, without its proof."""

    @abstractmethod
    def simulated(self) -> SimulatedCarrier:
        """The simulated side of the carrier: receipts, files, answers of its API."""

    def example(self, message: Message, key: bytes | None = None) -> WebhookCall:
        """The call that the carrier makes for an inbound message, with its proof.

        ``key`` is as for ``Proof.sign``. Raises ``NoSigningKey``.
        """
        return self.signed(self.inbound_call(message), key)

    def signed(self, call: WebhookCall, key: bytes | None = None) -> WebhookCall:
        """A call with its proof; ``key`` is as for ``Proof.sign``. Raises ``NoSigningKey``."""
        return self.proofs[0].sign(call, key)


def _require_any(call: WebhookCall, checks: Iterable[Callable[[WebhookCall], None]]) -> None:
    """Raise ``InvalidWebhook`` with all reasons unless a call passes one of the checks."""
    reasons = []
    for check in checks:
        try:
            check(call)
        except InvalidWebhook as error:
            reasons.append(str(error))
        else:
            return
    raise InvalidWebhook(" ".join(reasons))

"""Base classes of the push channels: ``Channel`` and ``TwoWayChannel``."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from services.core.messages import Device, Finding, Notice
from services.http.client import Http
from services.push.address import PushAddress, PushHostPolicy
from services.push.vapid import Vapid


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """The dependencies that every channel gets by its constructor.

    Attributes:
        http: HTTP client that may call every address, private networks included.
        public_http: HTTP client that may call public addresses only.
        vapid: signs for Web Push services (RFC 8292).
        host_policy: push hosts that the operator allows.
        app_url: public URL of this installation.
    """

    http: Http
    public_http: Http
    vapid: Vapid
    host_policy: PushHostPolicy
    app_url: str


@dataclass(frozen=True)
class NoSettings:
    """Settings class of a channel without settings. Such a channel is always on."""


class Channel(ABC):
    """One way to send notifications to the app of an extension.

    A ``per_device`` channel pushes to every device that registered an address for it. Any other
    channel is configured once for the installation and pushes to every extension.

    Attributes:
        name: identifier in the database, in the API and in ``destination``.
        title: name that people see.
        prefix: prefix of the channel's environment variables.
        Settings: dataclass of the channel's settings.
        Address: schema of the address that a device registers.
        per_device: see above.
        wants_status_updates: whether it also gets status changes of sent messages.
        wants_read_events: whether it also gets ``conversation.read``, so that the app can remove
            the notification of a conversation that was read on another device.
        waits_for_media: whether its app shows a message only once, as it is at that time; the push
            then waits until the attachments are downloaded.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    prefix: ClassVar[str] = ""
    Settings: ClassVar[type] = NoSettings
    Address: ClassVar[type[PushAddress]] = PushAddress
    per_device: ClassVar[bool] = True
    wants_status_updates: ClassVar[bool] = False
    wants_read_events: ClassVar[bool] = False
    waits_for_media: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, settings: Any, context: ChannelContext) -> None:
        """Take the channel's loaded settings and its dependencies."""

    @abstractmethod
    def notify(self, device: Device, notice: Notice) -> str | None:
        """Send one notice to one device; returns when the receiver has accepted it.

        Returns the app's own id of the conversation, if the app has one. Raises ``PushError``.
        """

    def check(self, extensions: Sequence[str]) -> Iterable[Finding]:
        """Check the credentials, and whether the app knows these extensions.

        Raises ``PushError`` where the credentials cannot be checked.
        """
        return ()

    def address(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Validate the push address that an app registers; returns the form that is stored.

        Raises marshmallow's ``ValidationError`` with the wrong fields and how to correct them.
        """
        checked: dict[str, Any] = self.Address().load(written)
        return checked

    def destination(self, address: Mapping[str, Any]) -> str:
        """The key for rate limits and the circuit breaker: the channel, or one host of it."""
        return f"push:{self.name}"


@dataclass(frozen=True, slots=True)
class InboundText:
    """A text that the user of an extension wrote; ``to`` is the number as it was dialled.

    ``id`` is the same in every process that receives the text.
    """

    extension: str
    to: str
    text: str
    id: str


@dataclass(frozen=True, slots=True)
class ExtensionReachable:
    """The device of an extension is online again."""

    extension: str


class TwoWayChannel(Channel):
    """A channel on which users also send texts, and which reports when a device is online."""

    @abstractmethod
    def inbound_events(self) -> Generator[InboundText | ExtensionReachable | None, None, None]:
        """Connect, then yield events for ever.

        Yields ``None`` once the connection is open, and about every second without an event, so
        that the caller can stop. Raises ``PushError`` when the connection fails or is lost.
        """

    @abstractmethod
    def report_refusal(self, refused: InboundText, reason: str) -> None:
        """Tell a user why a text was not accepted. Raises ``PushError``."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

"""Base classes of the push channels: ``Channel`` and ``TwoWayChannel``."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from services.core.errors import PushError
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


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A notice was taken to be passed on; whether the device gets it is not known.

    ``code`` is that of the other side, ``reason`` a sentence for people.
    """

    code: str
    reason: str


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
        replaces: names of the channels that are off while this one is on, because they lead to the
            same devices.
        email_after: after how many seconds a text that was not delivered is also mailed to the
            e-mail addresses of its number; ``None`` for never.
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
    replaces: ClassVar[tuple[str, ...]] = ()
    email_after: float | None = None

    @abstractmethod
    def __init__(self, settings: Any, context: ChannelContext) -> None:
        """Take the channel's loaded settings and its dependencies."""

    @abstractmethod
    def notify(self, device: Device, notice: Notice) -> str | PassedOn | None:
        """Send one notice to one device; returns when the receiver has accepted it.

        Returns the app's own id of the conversation, if the app has one, or ``PassedOn``. Raises
        ``PushError``.
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

    ``id`` is the same in every process that receives the text. ``sender`` is the number by which
    the user wants to send it, where the channel says so.
    """

    extension: str
    to: str
    text: str
    id: str
    sender: str | None = None

    def refusal(self, reason: str) -> str:
        """What its writer is told; ``to`` is empty where nobody can tell it."""
        return f"Not sent to {self.to}: {reason}" if self.to else f"Not sent. {reason}"


@dataclass(frozen=True, slots=True)
class ExtensionReachable:
    """The device of an extension is online again."""

    extension: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The other side was not reachable for a while, and is again."""


InboundEvent = InboundText | ExtensionReachable | Reconnected


class TwoWayChannel(Channel):
    """A channel on which users also send texts, and which reports when a device is online.

    Attributes:
        one_listener: whether only one worker may listen at a time, as it registers an account.
        keep_seconds: for how long it is tried again to store a text, before its sender hears that
            it cannot be kept.
        config_wait: seconds between two attempts to connect with a configuration that the other
            side refuses, where it may block who tries too often; ``None`` for the usual ones.
    """

    one_listener: ClassVar[bool] = False
    keep_seconds: ClassVar[float] = 30.0
    config_wait: ClassVar[float | None] = None

    @abstractmethod
    def inbound_events(self) -> Generator[InboundEvent | None, None, None]:
        """Connect, then yield events for ever.

        Yields ``None`` once the connection is open, and about every second without an event, so
        that the caller can stop. Raises ``PushError`` when the connection fails or is lost.
        """

    def begin_keeping(self, text: InboundText) -> bool:
        """Ask before a text is stored; ``False``: its sender has been told that it was not kept.

        After ``True`` only ``report_kept``, ``report_refusal`` and ``report_not_kept`` answer.
        """
        return True

    def report_kept(self, kept: InboundText) -> None:
        """Acknowledge a text that is on disk. Raises ``PushError``."""

    @abstractmethod
    def report_refusal(self, refused: InboundText, reason: str) -> None:
        """Tell a user why a text was not accepted. Raises ``PushError``."""

    def report_not_kept(self, lost: InboundText, reason: str) -> None:
        """Tell the other side that a text could not be stored now. Raises ``PushError``."""
        self.report_refusal(lost, reason)

    def watch(self, extensions: Collection[str]) -> None:
        """Have the devices of these extensions reported when they are online: texts wait for them.

        Called every few seconds with all of them. Raises ``PushError``.
        """

    def reconnect_after(self, error: PushError) -> float:
        """Seconds for which the other side asks to be left alone, with the error of a connection.

        0 where it does not ask; bounded.
        """
        return 0.0

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

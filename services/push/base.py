"""What a push channel is to Textbridge: one class that tells an app of a message."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from services.core.messages import Device, Finding, Notice
from services.http import Http
from services.push.address import Address, PushHostPolicy
from services.push.webpush.vapid import Vapid


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What every channel is given.

    ``http`` leads everywhere, ``public_http`` to public addresses only. ``vapid`` is who we are to
    push services, ``places`` are the operator's own. ``app_url`` is our public address.
    """

    http: Http
    public_http: Http
    vapid: Vapid
    places: PushHostPolicy
    app_url: str


@dataclass(frozen=True)
class NoSettings:
    """The settings of a channel that needs none, and is therefore always on."""


class Channel(ABC):
    """One way to reach an extension's mobile app.

    A ``per_device`` channel pushes to every device that registered an address for it. Any other
    is set up once for the installation and pushes to every extension.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    prefix: ClassVar[str] = ""  # of its variables
    Settings: ClassVar[type] = NoSettings
    Address: ClassVar[type[Address]] = Address  # what a device registers for it
    per_device: ClassVar[bool] = True
    updates: ClassVar[bool] = False  # whether it is also told of what became of sent messages
    clears: ClassVar[bool] = False  # … and of what was read elsewhere, to take its notice away
    waits_for_files: ClassVar[bool] = False  # whether its app shows a message once, as it is then

    @abstractmethod
    def __init__(self, settings: Any, around: ChannelContext) -> None:
        """Take the channel's loaded settings and what surrounds it."""

    @abstractmethod
    def notify(self, device: Device, notice: Notice) -> str | None:
        """Tell one device of one message; returns when it is taken. Raises ``PushError``.

        What it returns is the app's own name for the conversation, if it has one.
        """

    def check(self, extensions: Sequence[str]) -> Iterable[Finding]:
        """Whether the credentials work and whether the app knows these extensions.

        Raises ``PushError`` where not even the credentials can be checked.
        """
        return ()

    def address(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """The address that an app registers, checked, as it is kept.

        Raises marshmallow's ``ValidationError`` with the fields and their remedies.
        """
        checked: dict[str, Any] = self.Address().load(written)
        return checked

    def destination(self, address: Mapping[str, Any]) -> str:
        """What is paused, and limited, together with others: the channel, or one host of it."""
        return f"push:{self.name}"


@dataclass(frozen=True, slots=True)
class Wrote:
    """A user of an extension wrote a text ``to`` an address, as it was dialled.

    ``id`` is the same for everybody who hears of it.
    """

    extension: str
    to: str
    text: str
    id: str


@dataclass(frozen=True, slots=True)
class CameBack:
    """An extension can be reached again."""

    extension: str


class TwoWayChannel(Channel):
    """A channel on which users write, too, and which says when they can be reached again."""

    @abstractmethod
    def listen(self) -> Generator[Wrote | CameBack | None, None, None]:
        """What happens from now on, and ``None`` at first and about every second of silence.

        Raises ``PushError`` when the connection does not come about, and when it is lost.
        """

    @abstractmethod
    def answer(self, wrote: Wrote, reason: str) -> None:
        """Tell a user why a text was not taken. Raises ``PushError``."""

    @abstractmethod
    def close(self) -> None:
        """Give connections back."""

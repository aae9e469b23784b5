"""What a push channel is to Textbridge: one class that tells an app of a message."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

from services.http import Http
from services.messages import Device, Notice


class Channel(ABC):
    """One way to reach an extension's mobile app.

    A ``per_device`` channel pushes to every device that registered an address for it. Any other
    is set up once for the installation and pushes to every extension.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    prefix: ClassVar[str]  # of its variables
    Settings: ClassVar[type]
    per_device: ClassVar[bool] = True
    updates: ClassVar[bool] = False  # whether it is also told of what became of sent messages

    @abstractmethod
    def __init__(self, settings: Any, http: Http) -> None:
        """Take the channel's loaded settings and the way out."""

    @abstractmethod
    def notify(self, device: Device, notice: Notice) -> None:
        """Tell one device of one message; returns when it is taken. Raises ``PushError``."""


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

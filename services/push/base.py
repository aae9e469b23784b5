"""What a push channel is to Textbridge: one class that tells an app of a message."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from services.http import Http
from services.messages import Device, Finding, Notice


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
    waits_for_files: ClassVar[bool] = False  # whether its app shows a message once, as it is then

    @abstractmethod
    def __init__(self, settings: Any, http: Http) -> None:
        """Take the channel's loaded settings and the way out."""

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

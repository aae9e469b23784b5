"""Files that a webhook call contains: written to disk before the message is stored."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeGuard

from services.core.messages import Attachment, Message, Parsed
from services.core.phone_numbers import sender
from services.media.media_store import MEDIA_BYTES, MediaStore
from services.messaging.send_limits import SendLimits
from services.store.database.store import Store


@dataclass(eq=False)
class CallFiles:
    """Stores the files of parsed calls. ``country`` is assumed for numbers without one."""

    store: Store
    media: MediaStore
    limits: SendLimits
    country: str

    def save(self, part: Parsed) -> Parsed:
        """A message with the bytes of its files in the media store; other parts as they are.

        Raises ``StorageUnwell``.
        """
        if not has_content(part):
            return part
        too_much = self._too_much(part)
        return replace(part, media=tuple(self._saved(file, too_much) for file in part.media))

    def remove_unused(self, parts: Iterable[Parsed], outcomes: Iterable[tuple[str, str]]) -> None:
        """Delete the files of messages that were repeats. Raises ``StorageUnwell``."""
        for part, (outcome, _) in zip(parts, outcomes, strict=True):
            if isinstance(part, Message) and outcome != "received":
                for file in part.media:
                    self.media.remove(file.id)

    def _too_much(self, message: Message) -> str:
        """The reason why no more files of a message's sender are kept, or nothing."""
        address = sender(message.peer, self.country)
        return self.store.read(lambda tx: self.limits.received_too_much(tx, address))

    def _saved(self, file: Attachment, too_much: str) -> Attachment:
        if file.content is None:
            return file
        if too_much:
            return replace(file, content=None, state="failed", reason=too_much)
        return self.media.save_received(file, MEDIA_BYTES)


def has_content(part: Parsed) -> TypeGuard[Message]:
    """Whether a part is a message with the bytes of a file."""
    return isinstance(part, Message) and any(file.content is not None for file in part.media)

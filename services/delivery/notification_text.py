"""Title and body of a notification, within the preview policy of the device."""

import time
from collections.abc import Callable
from typing import Any

from services.core.messages import Attachment, Device, Message, Notice, uuid7

MOST_TITLE, MOST_BODY = 80, 240  # characters: the smallest push service takes some 2700 bytes
TYPES = {"received": "message.received", "read": "conversation.read"}


def of_message(
    message: Message, device: Device, about: str, object_of: Callable[[Message], dict[str, Any]]
) -> Notice:
    """The notification of a message for a device; ``about`` is that of the job."""
    kind: Any = TYPES.get(about, "message.updated")
    title, body = _text(message, device) if kind == "message.received" else ("", "")
    return Notice(
        id=f"msg_{message.id}_{device.extension}_{about}",
        type=kind,
        extension=device.extension,
        at=message.created_at if about == "received" else message.updated_at,
        message=object_of(message),
        title=title,
        body=body,
    )


def test(device: Device) -> Notice:
    """A notice that is about nothing, to see whether it arrives."""
    return Notice(
        id=f"test_{uuid7()}",
        type="device.test",
        extension=device.extension,
        at=time.time(),
        message={},
        title="Textbridge",
        body="Notifications arrive on this device.",
    )


def _text(message: Message, device: Device) -> tuple[str, str]:
    if device.preview == "none":
        return "New message", ""
    others = len(message.participants) - 1
    title = message.peer if others < 1 else f"{message.peer} and {others} more"
    if device.preview == "sender":
        return _cut(title, MOST_TITLE), "New message"
    return _cut(title, MOST_TITLE), _cut(message.text.strip(), MOST_BODY) or _files(message.media)


def _files(media: tuple[Attachment, ...]) -> str:
    pictures = media and all(file.content_type.startswith("image/") for file in media)
    word = "picture" if pictures else "attachment"
    return word.capitalize() if len(media) == 1 else f"{len(media)} {word}s" if media else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

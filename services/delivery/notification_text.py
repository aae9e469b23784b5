"""Title and body of a notification, within the preview policy of the device."""

import time
from collections.abc import Callable
from typing import Any

from services.core.language import Language
from services.core.messages import Device, Message, Notice, uuid7

MOST_TITLE, MOST_BODY = 80, 240  # characters: the smallest push service takes some 2700 bytes
TYPES = {"received": "message.received", "read": "conversation.read"}
Words = dict[str, str | int]


class NotificationText:
    """Writes notifications in one language; a test has the name of the installation as title."""

    def __init__(self, language: Language, app_name: str = "Textbridge") -> None:
        self._language = language
        self._app_name = app_name

    def of_message(
        self,
        message: Message,
        device: Device,
        about: str,
        object_of: Callable[[Message], dict[str, Any]],
    ) -> Notice:
        """The notification of a message for a device; ``about`` is that of the job."""
        kind: Any = TYPES.get(about, "message.updated")
        title, body, words = "", "", {}
        if kind == "message.received":
            words = _words(message, device)
            title, body = self._title(words), self._body(message, words)
        return Notice(
            id=f"msg_{message.id}_{device.extension}_{about}",
            type=kind,
            extension=device.extension,
            at=message.created_at if about == "received" else message.updated_at,
            message=object_of(message),
            title=title,
            body=body,
            parts=words,
        )

    def test(self, device: Device) -> Notice:
        """A notice that is about nothing, to see whether it arrives."""
        return Notice(
            id=f"test_{uuid7()}",
            type="device.test",
            extension=device.extension,
            at=time.time(),
            message={},
            title=self._app_name,
            body=self._language.t("Notifications arrive on this device."),
            parts={"kind": "test"},
        )

    def _title(self, words: Words) -> str:
        peer, others = words.get("peer"), words.get("others")
        if peer is None:
            return self._language.t("New message")
        if isinstance(others, int):
            title = self._language.many(
                others, "{name} and {count} more", "{name} and {count} more", name=peer
            )
            return _cut(title, MOST_TITLE)
        return _cut(str(peer), MOST_TITLE)

    def _body(self, message: Message, words: Words) -> str:
        many, count = self._language.many, len(message.media)
        match words.get("kind"):
            case "new":
                return self._language.t("New message")
            case "text":
                return _cut(message.text.strip(), MOST_BODY)
            case "pictures":
                return many(count, "Picture", "{count} pictures")
            case "attachments":
                return many(count, "Attachment", "{count} attachments")
        return ""


def _words(message: Message, device: Device) -> Words:
    """What the preview policy of a device lets it show of a message, in parts."""
    if device.preview == "none":
        return {}
    words: Words = {"peer": message.peer}
    others = len(message.participants) - 1
    if others > 0:
        words["others"] = others
    if device.preview == "sender":
        return words | {"kind": "new"}
    if message.text.strip():
        return words | {"kind": "text"}
    if not message.media:
        return words
    pictures = all(file.content_type.startswith("image/") for file in message.media)
    return words | {
        "kind": "pictures" if pictures else "attachments",
        "count": len(message.media),
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

"""The outside phone of the sandbox: its sent and received messages, by long polling."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from blueprints.sandbox.session import NUMBER
from services.core.messages import Message
from services.media.media_store import MediaStore
from services.store import messages
from services.store.database.store import Store

PAGE = 200


class OutsidePhone:
    """Reads the messages between the sandbox's number and an outside number."""

    def __init__(self, store: Store, media: MediaStore, is_stopping: Callable[[], bool]) -> None:
        """``is_stopping`` returns whether this process is being stopped."""
        self._store = store
        self._media = media
        self._is_stopping = is_stopping

    def news(self, phone: str, since: int, seconds: int) -> tuple[list[dict[str, Any]], int]:
        """The messages of a phone that changed after ``since``, and the number to continue from.

        Waits up to ``seconds`` for the first one.
        """
        notifier = self._store.notifier
        end = time.monotonic() + seconds
        while True:
            version = notifier.subscribe()
            look = partial(messages.changed_since, numbers=[NUMBER], changed=since, limit=PAGE)
            changes = self._store.read(look)
            since = changes[-1][0] if changes else since
            texts = [message for _, message in changes if phone in message.recipients]
            left = end - time.monotonic()
            if texts or left <= 0 or self._is_stopping():
                return [self._shown(text) for text in texts], since
            if not changes:
                notifier.wait(left, version)

    def _shown(self, message: Message) -> dict[str, Any]:
        return {
            "id": message.id,
            "sent": message.direction == "in",
            "reference": message.provider_id,
            "text": message.text,
            "status": str(message.status),
            "at": message.created_at,
            "media": [
                {
                    "content_type": file.content_type,
                    "state": file.state,
                    "url": self._media.link(file) if file.state == "kept" else None,
                }
                for file in message.media
            ],
        }

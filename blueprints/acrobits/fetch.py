"""Fetch call of Acrobits: messages received and sent since those that the app knows.

https://doc.acrobits.net/api/client/fetch_messages_modern.html
"""

import time
from typing import Any

from sqlalchemy import Connection

from blueprints.acrobits.calls import Call
from services.core.messages import Direction, Message, message_object, rfc3339
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.push.acrobits.channel import stream_id
from services.push.acrobits.files import CONTENT_TYPE, write_attachments
from services.push.chat_text import number_heading
from services.store import conversations, messages, transcripts
from services.store.database.store import Store
from services.store.jobs import FILES_WAIT_SECONDS

PAGE = 500  # the app asks again for what follows
NEWEST = 100  # for an app that knows nothing yet


class Fetch:
    """Lists the messages of an extension for its app."""

    def __init__(self, store: Store, settings: MessageSettings, media: MediaStore) -> None:
        self._store = store
        self._settings = settings
        self._media = media

    def fetch(self, call: Call) -> dict[str, Any]:
        """Both lists, oldest first. Fetching deletes nothing: other devices read the same messages.

        ``sms_id`` is our ``seq``. A received message whose files may still come ends the list, as
        the app asks only for what is newer than the last that it got.
        """
        extension = call.device.extension
        numbers = [setting.number for setting in self._settings.for_extension(extension)]

        def look(tx: Connection) -> tuple[list[Message], list[Message], dict[str, int]]:
            received = _settled(_page(tx, numbers, "in", call["last_id"]))
            sent = _page(tx, numbers, "out", call["last_sent_id"])
            chats = {message.conversation_id for message in received}
            return received, sent, conversations.read_marks(tx, extension, chats)

        received, sent, marks = self._store.read(look)
        return {
            "date": _moment(time.time()),
            "received_smss": [
                self._item(message, numbers)
                | {"displayed": message.seq <= marks.get(message.conversation_id, 0)}
                for message in received
            ],
            "sent_smss": [self._item(message, numbers) for message in sent],
        }

    def _item(self, message: Message, numbers: list[str]) -> dict[str, Any]:
        """A message as the app lists it; files that may still come have their address already."""
        data = message_object(message, self._media.link)
        files = [
            described | {"url": self._media.link(file)}
            for file, described in zip(message.media, data["media"], strict=True)
            if file.state != "failed"
        ]
        text = message.text
        if message.direction == "in":
            text = (number_heading(data, numbers) + text).strip()
        stream = stream_id(data)
        inbound = message.direction == "in"
        return {
            "sms_id": str(message.seq),
            "sending_date": _moment(message.created_at),
            "sender": stream if inbound else message.number,
            "recipient": message.number if inbound else stream,
            "sms_text": write_attachments(text, files) if files else text,
            "content_type": CONTENT_TYPE if files else "text/plain",
            "stream_id": stream,
        }


def _page(tx: Connection, numbers: list[str], direction: Direction, known: str) -> list[Message]:
    """The messages after the last known one; an id that was never given out counts as none."""
    after = int(known) if known.isascii() and known.isdigit() and len(known) <= 18 else None
    if after is None or after > messages.latest_seq(tx):
        return transcripts.page(tx, numbers, direction, limit=NEWEST)
    return transcripts.page(tx, numbers, direction, limit=PAGE, after=after)


def _settled(received: list[Message]) -> list[Message]:
    """The messages before the first whose files may still come."""
    long_ago = time.time() - FILES_WAIT_SECONDS
    for position, message in enumerate(received):
        awaited = any(file.state == "pending" for file in message.media)
        if awaited and message.created_at > long_ago:
            return received[:position]
    return received


def _moment(at: float) -> str:
    return rfc3339(at)[:19] + "Z"

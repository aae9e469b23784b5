"""Scheduled texts of the API: listed, changed, sent now; made by ``POST /messages``."""

from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, numbers, own_conversation
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.messages import (
    MessageListSchema,
    MessageSchema,
    ScheduledChangeSchema,
    ScheduledQuery,
)
from services.core.messages import message_object
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.scheduling import Scheduling
from services.store import scheduled
from services.store.database.store import Store


class ScheduledMessages(Resource):
    """Texts of an extension's numbers that are to be sent later."""

    name = "scheduled"
    description = "Texts that are sent later: listed, changed, sent now"

    def __init__(
        self, store: Store, access: ConversationAccess, media: MediaStore, scheduling: Scheduling
    ) -> None:
        self._store = store
        self._access = access
        self._media = media
        self._scheduling = scheduling

    @call(
        "GET",
        "/scheduled",
        Auth.DEVICE,
        query=ScheduledQuery,
        answers={200: MessageListSchema},
    )
    def list_scheduled_messages(self, query: dict[str, Any]) -> dict[str, Any]:
        """The scheduled texts of all numbers of the extension, the next one first."""
        return self._store.read(partial(self._page, query=query))

    @call(
        "GET",
        "/conversations/<uuid:conversation_id>/scheduled",
        Auth.DEVICE,
        query=ScheduledQuery,
        answers={200: MessageListSchema},
        refuses=[404],
    )
    def list_conversation_scheduled_messages(
        self, query: dict[str, Any], conversation_id: UUID
    ) -> dict[str, Any]:
        """The scheduled texts of a conversation, the next one first."""

        def work(tx: Connection) -> dict[str, Any]:
            known = own_conversation(tx, numbers(self._access), conversation_id)
            return self._page(tx, query, known.id)

        return self._store.read(work)

    @call(
        "PATCH",
        "/messages/<uuid:message_id>",
        Auth.DEVICE,
        json=ScheduledChangeSchema,
        answers={200: MessageSchema},
        refuses=[403, 404, 409],
    )
    def update_scheduled_message(self, asked: dict[str, Any], message_id: UUID) -> dict[str, Any]:
        """Change the text or the time of a scheduled text; what is left out stays.

        Its files stay. `409 not_scheduled`: it is being sent, was sent or cancelled, or has failed.
        """
        message = self._scheduling.change(
            caller(), str(message_id), text=asked.get("text"), send_at=asked.get("send_at")
        )
        return message_object(message, self._media.link)

    @call(
        "POST",
        "/messages/<uuid:message_id>/send",
        Auth.DEVICE,
        answers={202: MessageSchema},
        refuses=[403, 404, 409, 422],
    )
    def send_scheduled_message(self, message_id: UUID) -> tuple[dict[str, Any], int]:
        """Send a scheduled text now, also in quiet hours of the recipient's place.

        `409 not_scheduled`: it is being sent, was sent or cancelled, or has failed.
        """
        message = self._scheduling.send_now(caller(), str(message_id))
        return message_object(message, self._media.link), 202

    def _page(
        self, tx: Connection, query: dict[str, Any], conversation_id: str | None = None
    ) -> dict[str, Any]:
        limit = query["limit"]
        found = scheduled.page(
            tx,
            numbers(self._access),
            limit=limit + 1,
            offset=query["offset"],
            conversation_id=conversation_id,
        )
        items = [message_object(message, self._media.link) for message in found[:limit]]
        return {"items": items, "has_more": len(found) > limit}

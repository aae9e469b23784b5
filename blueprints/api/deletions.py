"""Deleting in the API: a conversation, a message; a scheduled text is cancelled."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from blueprints.api.auth import Auth, caller
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.deletions import DeletedSchema, DeletionQuery
from blueprints.api.schemas.messages import MessageSchema
from services.core.messages import message_object
from services.media.media_store import MediaStore
from services.messaging.deleting import Deleting
from services.messaging.scheduling import Scheduling


class Deletions(Resource):
    """What an extension deletes or cancels."""

    name = "deletions"
    description = "Messages and conversations: deleted, or cancelled before they are sent"

    def __init__(self, deleting: Deleting, scheduling: Scheduling, media: MediaStore) -> None:
        self._deleting = deleting
        self._scheduling = scheduling
        self._media = media

    @call(
        "DELETE",
        "/conversations/<uuid:conversation_id>",
        Auth.DEVICE,
        answers={200: DeletedSchema},
        refuses=[403, 404],
    )
    def delete_conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """Delete the messages of a conversation, for everybody who has its number.

        Scheduled texts in it are cancelled. A text that is being sent stays, and with it the
        conversation; of a very long one the rest stays: call again where `kept` is not 0. Opt-outs,
        contacts and blocked senders stay. `403 deleting_not_allowed`: see `may_delete` of `/me`.
        """
        return asdict(self._deleting.delete_conversation(caller(), str(conversation_id)))

    @call(
        "DELETE",
        "/messages/<uuid:message_id>",
        Auth.DEVICE,
        query=DeletionQuery,
        answers={200: MessageSchema, 204: None},
        refuses=[403, 404, 409],
    )
    def cancel_scheduled_message(
        self, query: dict[str, Any], message_id: UUID
    ) -> dict[str, Any] | tuple[str, int]:
        """Cancel a scheduled text; with `permanently` delete a message of any kind.

        Without `permanently` the text is kept, as `cancelled`, and never sent. `409 not_scheduled`:
        it is being sent, was sent or cancelled, or has failed; nothing is deleted. With
        `permanently` the message is gone for everybody who has its number (204). `409 being_sent`:
        delete it later.
        """
        if query["permanently"]:
            self._deleting.delete_message(caller(), str(message_id))
            return "", 204
        message = self._scheduling.cancel(caller(), str(message_id))
        return message_object(message, self._media.link)

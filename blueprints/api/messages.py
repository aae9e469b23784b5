"""Messages of the API: sending (idempotent by ``client_id``) and looking up."""

from typing import Any
from uuid import UUID

from blueprints.api.auth import Auth, caller, numbers
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.messages import IdempotencyHeaders, MessageSchema, NewMessageSchema
from services.core.errors import RequestRefused
from services.core.messages import message_object
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.compose import Composer, Reply
from services.store import messages
from services.store.database.store import Store


class Messages(Resource):
    """Messages of an extension, sent and looked up."""

    name = "messages"
    description = "Messages: sent and looked up"

    def __init__(
        self, store: Store, access: ConversationAccess, media: MediaStore, composer: Composer
    ) -> None:
        self._store = store
        self._access = access
        self._media = media
        self._composer = composer

    @call(
        "POST",
        "/messages",
        Auth.DEVICE,
        headers=IdempotencyHeaders,
        json=NewMessageSchema,
        answers={202: MessageSchema},
        refuses=[403, 404, 409],
    )
    def send_message(
        self, headers: dict[str, str], asked: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Send a message: it is kept and queued when this is answered, and sent at once thereafter.

        With `send_at` it is `scheduled` and sent then. In quiet hours of the recipient's place the
        answer has a later `send_at`, and the reason in `waits_because`.

        With a `client_id` (or the header `Idempotency-Key`) the call can be repeated safely: the
        answer is the message that was made the first time, with `Idempotency-Replayed: true`. The
        same `client_id` for another message is refused with 409. A text that is longer than the
        carrier's limit becomes several messages; the first is answered.
        """
        reply = Reply(
            text=asked["text"],
            to=tuple(asked.get("to", ())),
            sender=asked.get("sender"),
            conversation_id=asked.get("conversation_id"),
            media_ids=tuple(asked["media_ids"]),
            client_id=asked.get("client_id") or unquoted(headers.get("key")),
            send_at=asked.get("send_at"),
        )
        message, repeated = self._composer.submit(caller(), reply)
        replayed = {"Idempotency-Replayed": "true"} if repeated else {}
        return message_object(message, self._media.link), 202, replayed

    @call(
        "GET",
        "/messages/<uuid:message_id>",
        Auth.DEVICE,
        answers={200: MessageSchema},
        refuses=[404],
    )
    def get_message(self, message_id: UUID) -> dict[str, Any]:
        """One message as it stands."""
        found = self._store.read(
            lambda tx: messages.by_id(tx, str(message_id), numbers(self._access))
        )
        if found is None:
            raise RequestRefused("not_found", "There is no such message.", status=404)
        return message_object(found, self._media.link)


def unquoted(key: str | None) -> str | None:
    """The key without the quotation marks of the Idempotency-Key draft, which most clients omit."""
    quoted = key is not None and len(key) > 2 and key[0] == key[-1] == '"'
    return key[1:-1] if key is not None and quoted else key

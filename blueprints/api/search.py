"""Search of the API: messages by the words in them."""

from typing import Any

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, numbers
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.messages import FoundSchema, SearchQuery
from services.core.messages import message_object
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.device_limits import SEARCHES, DeviceLimits
from services.store import blocked_senders
from services.store.database.store import Store
from services.store.search import full_text


class Search(Resource):
    """Search in the messages of an extension."""

    name = "search"
    description = "Messages found by their words"

    def __init__(
        self, store: Store, access: ConversationAccess, media: MediaStore, limits: DeviceLimits
    ) -> None:
        self._store = store
        self._access = access
        self._media = media
        self._limits = limits

    @call("GET", "/search", Auth.DEVICE, query=SearchQuery, answers={200: FoundSchema})
    def search_messages(self, query: dict[str, Any]) -> dict[str, Any]:
        """The messages of the extension's numbers with all these words, the newest first.

        Case and accents do not matter, and the last word may be the beginning of one. One call
        looks through a part of what is stored: while `has_more`, go on with `next_before` as
        `before`, also after a page that is not full or empty.
        """
        self._limits.spend_on_reading(caller(), SEARCHES)
        limit, own = query["limit"], numbers(self._access)

        def work(tx: Connection) -> tuple[full_text.Found, set[str]]:
            found = full_text.find(tx, query["q"], own, limit=limit, before=query.get("before"))
            ids = [message.conversation_id for message in found.messages]
            return found, blocked_senders.hidden(tx, ids)

        found, hidden = self._store.read(work)
        items = [
            message_object(message, self._media.link)
            for message in found.messages
            if message.conversation_id not in hidden
        ]
        return {
            "items": items,
            "has_more": found.before is not None,
            "next_before": found.before,
        }

"""Search: messages by the words in them."""

from typing import Any

from blueprints.api.auth import Auth, house, numbers
from blueprints.api.door import Door
from blueprints.api.schemas import MessageListSchema, SearchQuery
from services.messages import message_object
from services.store import search

door = Door("search", "Messages found by their words")


@door.call("GET", "/search", Auth.DEVICE, query=SearchQuery, answers={200: MessageListSchema})
def find_messages(query: dict[str, Any]) -> dict[str, Any]:
    """The messages of the extension's numbers with all these words, the newest first.

    Case and accents do not matter, and the last word may be the beginning of one. Go on with the
    `seq` of the last message as `before`.
    """
    limit, own = query["limit"], numbers()
    found = house().store.read(
        lambda tx: search.find(tx, query["q"], own, limit=limit + 1, before=query.get("before"))
    )
    items = [message_object(message, house().media.link) for message in found[:limit]]
    return {"items": items, "has_more": len(found) > limit}

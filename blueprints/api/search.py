"""Search: messages by the words in them."""

from typing import Any

from blueprints.api.auth import Auth, house, numbers
from blueprints.api.declare import Door
from blueprints.api.schemas.messages import FoundSchema, SearchQuery
from services.core.messages import message_object
from services.store.search import full_text

door = Door("search", "Messages found by their words")


@door.call("GET", "/search", Auth.DEVICE, query=SearchQuery, answers={200: FoundSchema})
def find_messages(query: dict[str, Any]) -> dict[str, Any]:
    """The messages of the extension's numbers with all these words, the newest first.

    Case and accents do not matter, and the last word may be the beginning of one. One call looks
    through a part of what is stored: while `has_more`, go on with `next_before` as `before`, also
    after a page that is not full or empty.
    """
    limit, own = query["limit"], numbers()
    found = house().store.read(
        lambda tx: full_text.find(tx, query["q"], own, limit=limit, before=query.get("before"))
    )
    items = [message_object(message, house().media.link) for message in found.messages]
    return {
        "items": items,
        "has_more": found.before is not None,
        "next_before": found.before,
    }

"""What an app is told in a push: ids to catch up from, and the words its preview policy allows."""

import hashlib
import json
from typing import Any

from services.core.base64url import base64url
from services.core.messages import Device, Notice


def payload(notice: Notice) -> dict[str, Any]:
    """The push as JSON, the same whatever carries it; a push is a hint, the REST API the truth."""
    return {
        "v": 1,
        "type": notice.type,
        "id": notice.message.get("id", notice.id),
        "seq": notice.message.get("seq"),
        "conversation_id": notice.conversation_id,
        "unread_total": notice.unread_total,
        "title": notice.title,
        "body": notice.body,
    }


def written(content: dict[str, Any]) -> bytes:
    """JSON in UTF-8 as short as it gets."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def collapse_key(device: Device, notice: Notice) -> str | None:
    """The name under which a newer push takes the place of one that was not fetched yet.

    Only where both say the same: a preview that is replaced would never be seen. 30 signs of
    base64url, from which nothing follows.
    """
    if device.preview != "none" or notice.conversation_id is None:
        return None
    digest = hashlib.blake2s(notice.conversation_id.encode(), digest_size=22).digest()
    return base64url(digest)

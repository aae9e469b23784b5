"""JSON payload of a push: ids for the REST API, and the text that the preview policy allows."""

import hashlib
import json
from typing import Any

from services.core.base64url import base64url
from services.core.messages import Device, Notice


def push_payload(notice: Notice) -> dict[str, Any]:
    """The payload, the same for every channel; the app gets the full message by the REST API.

    ``title`` and ``body`` are in MAIL_LANGUAGE. For an app in another language, ``kind`` says what
    ``body`` is (``text`` of the message, ``new``, ``pictures``, ``attachments``, ``test``; with
    ``count``), and ``peer`` and ``others`` (further members of a group) what ``title`` is.
    """
    return {
        "v": 1,
        "type": notice.type,
        "id": notice.message.get("id", notice.id),
        "seq": notice.message.get("seq"),
        "conversation_id": notice.conversation_id,
        "unread_total": notice.unread_total,
        "title": notice.title,
        "body": notice.body,
        **notice.parts,
    }


def to_json_bytes(content: dict[str, Any]) -> bytes:
    """Compact JSON in UTF-8.

    A half surrogate pair, which a sender's JSON can contain, is replaced by a question mark.
    """
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def collapse_key(device: Device, notice: Notice) -> str | None:
    """The collapse key: a newer push replaces an undelivered one with the same key.

    ``None`` where the push has a preview, because the user would never see a replaced one. The key
    is a digest of 30 base64url characters, from which the conversation cannot be derived.
    """
    if device.preview != "none" or notice.conversation_id is None:
        return None
    digest = hashlib.blake2s(notice.conversation_id.encode(), digest_size=22).digest()
    return base64url(digest)

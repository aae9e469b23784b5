"""Ids of messages and files that are derived from the call in the inbox which contains them.

A power failure may undo the processing of a call. It is processed again then, and a push that was
sent before is repeated with the same ids.
"""

from dataclasses import replace

from services.core.messages import Message, Parsed, derived_uuid7
from services.store.inbox import InboxCall


def with_derived_ids(row: InboxCall, part: Parsed) -> Parsed:
    """A message of a call with ids that are the same each time; other parts as they are."""
    if not isinstance(part, Message):
        return part
    at = row.received_at
    files = tuple((file.name, file.source_url, file.size) for file in part.media)
    content = (part.provider_id, part.number, part.peer, part.text, files)
    message_id = derived_uuid7(at, row.id, at, *content)
    media = tuple(
        replace(file, id=derived_uuid7(at, message_id, position))
        for position, file in enumerate(part.media)
    )
    return replace(part, id=message_id, media=media, created_at=at, updated_at=at)

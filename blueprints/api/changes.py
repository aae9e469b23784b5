"""Changes in the conversations of an extension since a token, in their order."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from blueprints.api.conversation_marks import marks_object
from services.core.messages import Device, Message, message_object
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.store import (
    assignments,
    conversation_marks,
    conversations,
    counters,
    deletions,
    devices,
    messages,
)
from services.store.assignments import Assignment
from services.store.conversation_marks import ConversationMark
from services.store.database.store import Store
from services.store.deletions import Deletion


@dataclass(frozen=True, slots=True)
class Changes:
    """Events in order, and the number from which to go on (``next``)."""

    next: int
    events: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False
    reset: bool = False


class ChangeLog:
    """Reads what changed in the conversations of an extension."""

    def __init__(self, store: Store, access: ConversationAccess, media: MediaStore) -> None:
        self._store = store
        self._access = access
        self._media = media

    def since(self, device: Device, since: int | None, limit: int) -> Changes | None:
        """At most ``limit`` events after ``since`` (without it: none).

        Returns ``None`` for a device that was revoked. A ``since`` that was never given out asks
        for a reset, as does one from before a person was forgotten or a backup was restored.
        Raises ``StorageUnwell``.
        """
        numbers = [setting.number for setting in self._access.numbers(device.extension)]

        def work(tx: Connection) -> Changes | None:
            if devices.by_id(tx, device.id) is None:
                return None
            # Read first: on PostgreSQL each statement sees what was committed before it began. Rows
            # with a higher number may be read only in part, so the next call returns them.
            latest = messages.latest_seq(tx)
            reset = counters.value(tx, counters.RESET) or 0
            if since is None or since > latest or since < reset:
                return Changes(latest, reset=since is not None)
            changed = messages.changed_since(tx, numbers, since, limit + 1)
            marks = conversations.read_since(tx, device.extension, since, limit + 1)
            events = [self._message_event(at, message, since) for at, message in changed]
            events += _read_events(tx, device.extension, numbers, marks)
            given = assignments.changed_since(tx, numbers, since, limit + 1)
            events += [_assigned_event(at, one) for at, one in given]
            own, extension = numbers, device.extension
            marked = conversation_marks.changed_since(tx, extension, own, since, limit + 1)
            events += [_marked_event(at, one) for at, one in marked]
            events += map(_deleted_event, deletions.changed_since(tx, numbers, since, limit + 1))
            events = sorted((e for e in events if e["seq"] <= latest), key=lambda e: e["seq"])
            more = len(events) > limit
            return Changes(events[limit - 1]["seq"] if more else latest, events[:limit], more)

        return self._store.read(work)

    def _message_event(self, at: int, message: Message, since: int) -> dict[str, Any]:
        return {
            "seq": at,
            "type": "message.created" if message.seq > since else "message.updated",
            "message": message_object(message, self._media.link),
        }


def assignment_object(assignment: Assignment | None) -> dict[str, Any]:
    """Who owns a conversation and whether it is done, as apps see it."""
    return {
        "owner": assignment.owner if assignment is not None else None,
        "group": assignment.group_name if assignment is not None else None,
        "done": assignment is not None and assignment.done_at is not None,
    }


def _assigned_event(at: int, assignment: Assignment) -> dict[str, Any]:
    event = {"seq": at, "type": "conversation.updated"}
    return event | {"conversation_id": assignment.conversation_id} | assignment_object(assignment)


def _marked_event(at: int, mark: ConversationMark) -> dict[str, Any]:
    event = {"seq": at, "type": "conversation.marked", "conversation_id": mark.conversation_id}
    return event | marks_object(mark)


def _deleted_event(deletion: Deletion) -> dict[str, Any]:
    event = {"seq": deletion.changed, "conversation_id": deletion.conversation_id}
    if deletion.message_id is None:
        return event | {"type": "conversation.deleted"}
    return event | {"type": "message.deleted", "message_id": deletion.message_id}


def _read_events(
    tx: Connection, extension: str, numbers: Collection[str], marks: list[tuple[int, str, int]]
) -> list[dict[str, Any]]:
    """Read marks that moved, of conversations that are still the extension's."""
    own = [mark for mark in marks if conversations.by_id(tx, mark[1], numbers) is not None]
    unread = messages.unread(tx, extension, [conversation_id for _, conversation_id, _ in own])
    return [
        {
            "seq": at,
            "type": "conversation.read",
            "conversation_id": conversation_id,
            "read_seq": read_seq,
            "unread_count": unread.get(conversation_id, 0),
        }
        for at, conversation_id, read_seq in own
    ]

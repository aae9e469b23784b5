"""Marks of the API: conversations that an extension has muted or pinned."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, numbers, own_conversation
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.conversations import MarksSchema
from services.core.errors import RequestRefused
from services.messaging.access import ConversationAccess
from services.messaging.device_limits import CONVERSATION_CHANGES, DeviceLimits
from services.store import conversation_marks, counters
from services.store.conversation_marks import ConversationMark
from services.store.database import clock
from services.store.database.store import Store

MOST_PINNED = 20  # the first page of conversations has all of them
Change = Callable[[Connection, ConversationMark, Collection[str]], ConversationMark]
"""Changes a mark of an extension that has these numbers."""


class ConversationMarks(Resource):
    """What an extension mutes and pins: the same on all its devices, and its own affair."""

    name = "marks"
    description = "Muted and pinned conversations"

    def __init__(self, store: Store, access: ConversationAccess, limits: DeviceLimits) -> None:
        self._store = store
        self._access = access
        self._limits = limits

    @call(
        "PUT",
        "/conversations/<uuid:conversation_id>/mute",
        Auth.DEVICE,
        answers={200: MarksSchema},
        refuses=[404],
    )
    def mute_conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """Notify the devices of this extension no more of texts in a conversation.

        The texts are in the lists and events as before. E-mails, the signed webhook, Ringotel and
        SIP are not muted: they deliver the text itself.
        """
        return self._change(conversation_id, lambda _, mark, __: replace(mark, muted=True))

    @call(
        "DELETE",
        "/conversations/<uuid:conversation_id>/mute",
        Auth.DEVICE,
        answers={200: MarksSchema},
        refuses=[404],
    )
    def unmute_conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """Notify again."""
        return self._change(conversation_id, lambda _, mark, __: replace(mark, muted=False))

    @call(
        "PUT",
        "/conversations/<uuid:conversation_id>/pin",
        Auth.DEVICE,
        answers={200: MarksSchema},
        refuses=[404, 409],
    )
    def pin_conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """Show a conversation at the top of this extension's list; at most 20."""
        return self._change(conversation_id, _pinned)

    @call(
        "DELETE",
        "/conversations/<uuid:conversation_id>/pin",
        Auth.DEVICE,
        answers={200: MarksSchema},
        refuses=[404],
    )
    def unpin_conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """Show it in its usual place again."""
        return self._change(conversation_id, lambda _, mark, __: replace(mark, pinned_at=None))

    def _change(self, conversation_id: UUID, change: Change) -> dict[str, Any]:
        own, device = numbers(self._access), caller()

        def work(tx: Connection) -> dict[str, Any]:
            known = own_conversation(tx, own, conversation_id)
            counters.hold_sequence(tx)  # two calls at once must not pin one too many
            none = ConversationMark(device.extension, known.id)
            before = conversation_marks.of(tx, device.extension, [known.id]).get(known.id, none)
            after = change(tx, before, own)
            if after != before:
                self._limits.count(tx, device, CONVERSATION_CHANGES)
                conversation_marks.put(tx, after)
            return marks_object(after)

        return self._store.write(work)


def marks_object(mark: ConversationMark | None) -> dict[str, Any]:
    """The marks of a conversation as apps see them."""
    return {
        "muted": mark is not None and mark.muted,
        "pinned": mark is not None and mark.pinned_at is not None,
    }


def _pinned(tx: Connection, mark: ConversationMark, own: Collection[str]) -> ConversationMark:
    if mark.pinned_at is not None:
        return mark
    if len(conversation_marks.pinned(tx, mark.extension, own)) >= MOST_PINNED:
        raise RequestRefused(
            "too_many_pinned",
            f"An extension can pin {MOST_PINNED} conversations. Unpin another one first.",
            status=409,
        )
    return replace(mark, pinned_at=clock.now(tx))

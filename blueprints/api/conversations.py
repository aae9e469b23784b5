"""Conversations of the API: listed, read page by page, marked as read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, numbers, own_conversation, own_number
from blueprints.api.changes import assignment_object
from blueprints.api.conversation_marks import marks_object
from blueprints.api.declare import Resource, call
from blueprints.api.opt_outs import consent_object
from blueprints.api.schemas.conversations import (
    AssignedSchema,
    AssignSchema,
    ConversationListSchema,
    ConversationSchema,
    ConversationsQuery,
    ReadMarkSchema,
    ReadSchema,
)
from blueprints.api.schemas.messages import MessageListSchema, MessagesQuery
from services.core.messages import message_object, rfc3339
from services.core.phone_numbers import channel_of, search_words
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.assignments import Assignments
from services.messaging.consent import Consent
from services.messaging.device_limits import CONVERSATION_CHANGES, SEARCHES, DeviceLimits
from services.messaging.route import Router
from services.store import assignments, conversation_marks, conversations, messages
from services.store.conversations import Conversation
from services.store.database.store import Store


class Conversations(Resource):
    """Conversations of the numbers of an extension."""

    name = "conversations"
    description = "Conversations and their messages"

    def __init__(
        self,
        store: Store,
        access: ConversationAccess,
        media: MediaStore,
        router: Router,
        limits: DeviceLimits,
        country: str,
        consent: Consent,
        assignments: Assignments,
    ) -> None:
        self._assignments = assignments
        self._store = store
        self._access = access
        self._media = media
        self._router = router
        self._limits = limits
        self._country = country
        self._consent = consent

    @call(
        "GET",
        "/conversations",
        Auth.DEVICE,
        query=ConversationsQuery,
        answers={200: ConversationListSchema},
        refuses=[403],
    )
    def list_conversations(self, query: dict[str, Any]) -> dict[str, Any]:
        """The conversations of the extension's numbers, the one with the newest message first.

        Those with blocked senders are left out; with `blocked` there are only those. Without `q`,
        `unread` and `blocked` the pinned ones come first, on the first page, beyond `limit`.
        """
        limit, own = query["limit"], numbers(self._access)
        if "number" in query:
            number = own_number(own, query["number"], self._country, "number")
            own = {number: own[number]}
        before = int(query["cursor"]) if "cursor" in query else None
        unread_by = caller().extension if query["unread"] else None
        with_peer = None
        if "q" in query:
            with_peer = search_words(query["q"], self._country)
            self._limits.spend_on_reading(caller(), SEARCHES)

        has_pinned_first = not (query["unread"] or query["blocked"] or with_peer is not None)

        def work(tx: Connection) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
            pinned, top = [], []
            if has_pinned_first:
                pinned = conversation_marks.pinned(tx, caller().extension, own)
            if pinned and before is None:
                top = conversations.chosen(tx, own, pinned)
            found = conversations.page(
                tx,
                own,
                limit=limit + 1,
                before=before,
                unread_by=unread_by,
                with_peer=with_peer,
                blocked=query["blocked"],
                without=pinned,
            )
            return self._objects(tx, top), self._objects(tx, found[:limit]), len(found) > limit

        top, items, more = self._store.read(work)
        cursor = str(items[-1]["last_seq"]) if more else None
        return {"items": [*top, *items], "next_cursor": cursor}

    @call(
        "GET",
        "/conversations/<uuid:conversation_id>",
        Auth.DEVICE,
        answers={200: ConversationSchema},
        refuses=[404],
    )
    def get_conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """One conversation."""
        return self._store.read(lambda tx: self._objects(tx, [self._own(tx, conversation_id)])[0])

    @call(
        "GET",
        "/conversations/<uuid:conversation_id>/messages",
        Auth.DEVICE,
        query=MessagesQuery,
        answers={200: MessageListSchema},
        refuses=[404],
    )
    def list_messages(self, query: dict[str, Any], conversation_id: UUID) -> dict[str, Any]:
        """A page of a conversation: the newest first, or with `after` the oldest first."""
        limit = query["limit"]

        def work(tx: Connection) -> dict[str, Any]:
            found = messages.page(
                tx,
                self._own(tx, conversation_id).id,
                limit=limit + 1,
                before=query.get("before"),
                after=query.get("after"),
            )
            items = [message_object(message, self._media.link) for message in found[:limit]]
            return {"items": items, "has_more": len(found) > limit}

        return self._store.read(work)

    @call(
        "POST",
        "/conversations/<uuid:conversation_id>/read",
        Auth.DEVICE,
        json=ReadSchema,
        answers={200: ReadMarkSchema},
        refuses=[404],
    )
    def mark_conversation_read(
        self, asked: dict[str, Any], conversation_id: UUID
    ) -> dict[str, Any]:
        """Note that the extension has read the conversation up to a message.

        The mark moves forward, and not beyond the newest message; only `DELETE` moves it back.
        """
        reader = caller()
        extension = reader.extension

        def work(tx: Connection) -> dict[str, Any]:
            conversation = self._own(tx, conversation_id)
            up_to = min(asked["up_to_seq"], conversation.last_seq)
            mark = conversations.read_marks(tx, extension, [conversation.id]).get(
                conversation.id, 0
            )
            if up_to > mark:
                self._limits.count(tx, reader, CONVERSATION_CHANGES)
                conversations.mark_read(
                    tx, extension, conversation.id, up_to, messages.next_seq(tx)
                )
                self._router.notify_read(tx, reader, conversation.id, up_to)
            return self._read_mark(tx, conversation)

        return self._store.write(work)

    @call(
        "DELETE",
        "/conversations/<uuid:conversation_id>/read",
        Auth.DEVICE,
        answers={200: ReadMarkSchema},
        refuses=[404],
    )
    def mark_conversation_unread(self, conversation_id: UUID) -> dict[str, Any]:
        """Note that the extension has not read the newest inbound message of a conversation.

        Where it is unread already, or there is none, nothing changes.
        """
        reader = caller()

        def work(tx: Connection) -> dict[str, Any]:
            conversation = self._own(tx, conversation_id)
            changed = messages.next_seq(tx)
            if conversations.mark_unread(tx, reader.extension, conversation.id, changed):
                self._limits.count(tx, reader, CONVERSATION_CHANGES)
            return self._read_mark(tx, conversation)

        return self._store.write(work)

    @call(
        "POST",
        "/conversations/<uuid:conversation_id>/assign",
        Auth.DEVICE,
        json=AssignSchema,
        answers={200: AssignedSchema},
        refuses=[404],
    )
    def assign_conversation(self, asked: dict[str, Any], conversation_id: UUID) -> dict[str, Any]:
        """Hand a conversation over to another extension of its number, or set it to done."""

        def work(tx: Connection) -> dict[str, Any]:
            conversation = self._own(tx, conversation_id)
            self._limits.count(tx, caller(), CONVERSATION_CHANGES)
            if "owner" in asked:
                self._assignments.hand_over(tx, conversation, asked["owner"])
            if "done" in asked:
                self._assignments.set_done(tx, conversation, asked["done"])
            return assignment_object(assignments.by_id(tx, conversation.id))

        return self._store.write(work)

    def _read_mark(self, tx: Connection, conversation: Conversation) -> dict[str, Any]:
        extension = caller().extension
        marks = conversations.read_marks(tx, extension, [conversation.id])
        unread = messages.unread(tx, extension, [conversation.id])
        return {
            "read_seq": marks.get(conversation.id, 0),
            "unread_count": unread.get(conversation.id, 0),
        }

    def _own(self, tx: Connection, conversation_id: UUID) -> Conversation:
        return own_conversation(tx, numbers(self._access), conversation_id)

    def _objects(self, tx: Connection, found: Sequence[Conversation]) -> list[dict[str, Any]]:
        """Conversations as apps see them."""
        ids = [conversation.id for conversation in found]
        newest = messages.by_seq(tx, [conversation.last_seq for conversation in found])
        unread = messages.unread(tx, caller().extension, ids)
        marks = conversations.read_marks(tx, caller().extension, ids)
        assigned = assignments.of(tx, ids)
        marked = conversation_marks.of(tx, caller().extension, ids)
        return [
            {
                "id": conversation.id,
                "number": conversation.number,
                "channel": channel_of(conversation.peer),
                "peer": conversation.peer,
                "participants": list(conversation.participants),
                "last_message": message_object(last, self._media.link)
                if (last := newest.get(conversation.last_seq)) is not None
                else None,
                "unread_count": unread.get(conversation.id, 0),
                "read_seq": marks.get(conversation.id, 0),
                "last_seq": conversation.last_seq,
                "updated_at": rfc3339(conversation.updated_at),
                **consent_object(self._consent.of(tx, conversation)),
                **assignment_object(assigned.get(conversation.id)),
                **marks_object(marked.get(conversation.id)),
            }
            for conversation in found
        ]

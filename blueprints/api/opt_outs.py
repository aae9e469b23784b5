"""Consent of the API: opting somebody out of texts, and blocking a sender."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, numbers, own_conversation
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.opt_outs import BlockSchema, ConsentSchema, MemberSchema
from services.core.messages import rfc3339
from services.messaging.access import ConversationAccess
from services.messaging.consent import Consent, ConversationConsent
from services.messaging.device_limits import CONSENT_CHANGES, DeviceLimits
from services.store.conversations import Conversation
from services.store.database.store import Store

Change = Callable[[Connection, Conversation], None]


class ConversationConsents(Resource):
    """Opt-outs and blocked senders of the conversations of an extension."""

    name = "consent"
    description = "Opt-outs and blocked senders"

    def __init__(
        self, store: Store, access: ConversationAccess, consent: Consent, limits: DeviceLimits
    ) -> None:
        self._store = store
        self._access = access
        self._consent = consent
        self._limits = limits

    @call(
        "POST",
        "/conversations/<uuid:conversation_id>/opt-out",
        Auth.DEVICE,
        json=MemberSchema,
        answers={200: ConsentSchema},
        refuses=[404],
    )
    def opt_out_conversation(self, asked: dict[str, Any], conversation_id: UUID) -> dict[str, Any]:
        """Record that somebody wants no more texts; what waits to be sent to them is cancelled.

        Only START from that person or the administrator takes it back.
        """
        peer, extension = asked.get("peer"), caller().extension
        return self._change(
            conversation_id, lambda tx, one: self._consent.opt_out(tx, one, peer, extension)
        )

    @call(
        "DELETE",
        "/conversations/<uuid:conversation_id>/opt-out-suggestion",
        Auth.DEVICE,
        answers={200: ConsentSchema},
        refuses=[404],
    )
    def dismiss_opt_out_suggestion(self, conversation_id: UUID) -> dict[str, Any]:
        """Note that a person has looked: nobody here wants to opt out."""
        return self._change(conversation_id, self._consent.dismiss)

    @call(
        "PUT",
        "/conversations/<uuid:conversation_id>/block",
        Auth.DEVICE,
        json=BlockSchema,
        answers={200: ConsentSchema},
        refuses=[404],
    )
    def block_sender(self, asked: dict[str, Any], conversation_id: UUID) -> dict[str, Any]:
        """Keep the texts of a sender apart: nobody is notified, and no list shows them.

        A group stays in the lists; nobody is notified of what this member writes there.
        """
        peer, every = asked.get("peer"), asked["all_numbers"]
        by = f"extension {caller().extension}"
        return self._change(
            conversation_id, lambda tx, one: self._consent.block(tx, one, peer, by, every=every)
        )

    @call(
        "DELETE",
        "/conversations/<uuid:conversation_id>/block",
        Auth.DEVICE,
        query=MemberSchema,
        answers={200: ConsentSchema},
        refuses=[404],
    )
    def unblock_sender(self, query: dict[str, Any], conversation_id: UUID) -> dict[str, Any]:
        """End the block of a sender; the texts that came meanwhile are in the lists again."""
        peer, by = query.get("peer"), f"extension {caller().extension}"
        return self._change(
            conversation_id, lambda tx, one: self._consent.unblock(tx, one, peer, by)
        )

    def _change(self, conversation_id: UUID, change: Change) -> dict[str, Any]:
        own, device = numbers(self._access), caller()

        def work(tx: Connection) -> dict[str, Any]:
            found = own_conversation(tx, own, conversation_id)
            self._limits.count(tx, device, CONSENT_CHANGES)
            change(tx, found)
            return consent_object(self._consent.of(tx, found))

        return self._store.write(work)


def consent_object(known: ConversationConsent) -> dict[str, Any]:
    """The consent of a conversation as apps see it."""
    return {
        "opt_outs": [
            {"peer": peer, "since": rfc3339(one.at), "source": str(one.source)}
            for peer, one in known.opted_out.items()
        ],
        "closed_reason": known.reason or None,
        "opt_out_suggested": known.suggested,
        "blocked": known.blocked,
        "blocked_peers": list(known.blocked_peers),
    }

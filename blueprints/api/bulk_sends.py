"""Bulk sends of the API: one text to a set of recipients, each by themselves."""

from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller
from blueprints.api.declare import Resource, call
from blueprints.api.messages import unquoted
from blueprints.api.schemas.bulk_sends import (
    BulkPreviewSchema,
    BulkResultsSchema,
    BulkSendListSchema,
    BulkSendSchema,
    BulkSendsQuery,
    BulkTextsQuery,
    NewBulkSendSchema,
)
from blueprints.api.schemas.messages import IdempotencyHeaders
from blueprints.errors import problem
from services.core.messages import Message, Status, rfc3339
from services.messaging.bulk_recipients import Recipient, read_recipients, recipient
from services.messaging.bulk_sending import (
    BulkPlan,
    BulkRequest,
    BulkSending,
    InvalidRecipients,
)
from services.store import bulk_sends
from services.store.bulk_sends import BulkSend
from services.store.database.store import Store


class BulkSends(Resource):
    """The bulk sends of an extension."""

    name = "bulk-sends"
    description = "One text to a set of recipients, each by themselves, if BULK_SENDING is on"

    def __init__(self, store: Store, sending: BulkSending) -> None:
        self._store = store
        self._sending = sending

    @call(
        "POST",
        "/bulk-sends",
        Auth.DEVICE,
        headers=IdempotencyHeaders,
        json=NewBulkSendSchema,
        answers={200: BulkPreviewSchema, 202: BulkSendSchema},
        refuses=[403, 409],
    )
    def create_bulk_send(
        self, headers: dict[str, str], asked: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]] | Response:
        """Send one text to at most 500 recipients, each by themselves.

        Every recipient gets a scheduled message of their own, which the conversations show and
        which keeps opt-outs and the recipient's quiet hours. They are sent slowly, so that other
        texts are not delayed. Who may not be texted is left out, with the reason. A line that has
        no phone number refuses all (422 `invalid_recipients`, with all such lines), unless
        `skip_invalid` leaves it out.

        With `preview` nothing is sent: 200 has what would be. With a `client_id` (or the header
        `Idempotency-Key`) the call can be repeated safely, as for a message.
        """
        sending, device = self._sending, caller()
        sending.count(device)
        wanted = BulkRequest(
            name=asked["name"],
            text=asked["text"],
            recipients=_recipients(asked),
            sender=asked.get("sender"),
            send_at=asked.get("send_at"),
            client_id=asked.get("client_id") or unquoted(headers.get("key")),
            skip_invalid=asked["skip_invalid"],
        )
        if asked["preview"]:
            return _preview(sending.preview(device.extension, wanted)), 200, {}
        try:
            made, repeated = sending.create(
                device.extension, wanted, f"extension {device.extension}"
            )
        except InvalidRecipients as error:
            errors = {f"line {line}": [reason] for line, reason in error.lines.items()}
            return problem(error.status, error.code, error.reason, field=error.field, errors=errors)
        replayed = {"Idempotency-Replayed": "true"} if repeated else {}
        return self._store.read(lambda tx: _objects(tx, [made])[0]), 202, replayed

    @call(
        "GET",
        "/bulk-sends",
        Auth.DEVICE,
        query=BulkSendsQuery,
        answers={200: BulkSendListSchema},
        refuses=[403],
    )
    def list_bulk_sends(self, query: dict[str, Any]) -> dict[str, Any]:
        """The bulk sends of the extension by numbers that it has, the newest first."""
        self._sending.require_on()
        limit, extension = query["limit"], caller().extension

        def work(tx: Connection) -> dict[str, Any]:
            found = self._sending.page(tx, extension, limit=limit + 1, offset=query["offset"])
            return {"items": _objects(tx, found[:limit]), "has_more": len(found) > limit}

        return self._store.read(work)

    @call(
        "GET",
        "/bulk-sends/<uuid:bulk_send_id>",
        Auth.DEVICE,
        query=BulkTextsQuery,
        answers={200: BulkResultsSchema},
        refuses=[403, 404],
    )
    def get_bulk_send(self, query: dict[str, Any], bulk_send_id: UUID) -> dict[str, Any]:
        """A bulk send of the extension: counts, a page of its texts, and who is left out."""
        self._sending.require_on()
        return self._store.read(partial(self._results, query=query, bulk_send_id=bulk_send_id))

    @call(
        "POST",
        "/bulk-sends/<uuid:bulk_send_id>/cancel",
        Auth.DEVICE,
        answers={200: BulkSendSchema},
        refuses=[403, 404],
    )
    def cancel_bulk_send(self, bulk_send_id: UUID) -> dict[str, Any]:
        """Cancel the texts of a bulk send that still wait; those on their way are sent."""
        device = caller()
        self._sending.count(device)
        known = self._sending.cancel(
            str(bulk_send_id), device.extension, f"extension {device.extension}"
        )
        return self._store.read(lambda tx: _objects(tx, [known])[0])

    def _results(self, tx: Connection, query: dict[str, Any], bulk_send_id: UUID) -> dict[str, Any]:
        known = self._sending.of(tx, str(bulk_send_id), caller().extension)
        limit, state = query["limit"], query.get("state")
        found = bulk_sends.texts(
            tx,
            known.id,
            limit=limit + 1,
            offset=query["offset"],
            status=Status(state) if state else None,
        )
        return {
            **_objects(tx, [known])[0],
            "items": [_text(message) for message in found[:limit]],
            "has_more": len(found) > limit,
            "left_out": [asdict(one) for one in bulk_sends.left_out(tx, known.id)],
        }


def _recipients(asked: dict[str, Any]) -> tuple[Recipient, ...]:
    """The list of a request. Raises ``RequestRefused`` for a CSV file that cannot be read."""
    if "csv" in asked:
        return read_recipients(asked["csv"])
    listed = enumerate(asked["recipients"], 1)
    return tuple(recipient(line, one["to"], one["fields_"]) for line, one in listed)


def _preview(plan: BulkPlan) -> dict[str, Any]:
    return {
        "from": plan.number,
        "recipients": len(plan.messages),
        "messages": plan.parts,
        "segments": plan.segments,
        "in_quiet_hours": plan.in_quiet_hours,
        "example": plan.messages[0].text if plan.messages else None,
        "left_out": [asdict(one) for one in plan.left_out],
    }


def _objects(tx: Connection, found: list[BulkSend]) -> list[dict[str, Any]]:
    counts = bulk_sends.counts(tx, [one.id for one in found])
    return [
        {
            "id": one.id,
            "name": one.name,
            "extension": one.extension,
            "from": one.number,
            "text": one.text,
            "send_at": rfc3339(one.send_at),
            "created_at": rfc3339(one.created_at),
            "cancelled_at": rfc3339(one.cancelled_at) if one.cancelled_at is not None else None,
            "recipients": one.recipients,
            "counts": {str(status): count for status, count in counts[one.id].items()},
        }
        for one in found
    ]


def _text(message: Message) -> dict[str, Any]:
    error = {"code": message.error_code, "reason": message.error_reason}
    return {
        "message_id": message.id,
        "number": message.peer,
        "state": str(message.status),
        "send_at": rfc3339(message.send_at) if message.send_at is not None else None,
        "waits_because": message.waits_because,
        "error": error if any(error.values()) else None,
        "updated_at": rfc3339(message.updated_at),
    }

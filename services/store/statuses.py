"""What becomes of a message: its state moves forward only, by what we do and by receipts."""

import time
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select, update

from services.core.messages import DeliveryStatus, Message, Status, advances
from services.store import receipts
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import messages
from services.store.messages import by_id, next_seq

_THIS = messages.c.id == bindparam("message_id")
_STATUS = CompiledStatement(
    lambda _: (
        select(messages.c.status, messages.c.provider_id, messages.c.error_reason)
        .where(_THIS)
        .with_for_update()
    )
)
_ADVANCE = CompiledStatement(
    lambda _: (
        update(messages)
        .where(_THIS)
        .values(
            status=bindparam("new_status"),
            error_code=bindparam("code"),
            error_reason=bindparam("reason"),
            provider_id=bindparam("carriers_id"),
            changed=bindparam("seq"),
            updated_at=bindparam("now"),
        )
    )
)
_NAME = CompiledStatement(
    lambda _: update(messages).where(_THIS).values(provider_id=bindparam("carriers_id"))
)


def advance(
    tx: Connection,
    message_id: str,
    status: Status,
    *,
    provider_id: str | None = None,
    code: str | None = None,
    reason: str | None = None,
) -> bool:
    """Move an outbound message forward; false, and nothing changed, where that would be backwards.

    The carrier's id is kept in any case. A state that it has already may get a new ``reason``.
    """
    seq = next_seq(tx)  # before the row: two nodes that lock in another order wait for each other
    row = _STATUS.row(tx, message_id=message_id)
    known_as = row.provider_id or provider_id
    explained = status == row.status and reason not in (None, row.error_reason)
    forward = advances(Status(row.status), status) or explained
    if forward:
        _ADVANCE.change(
            tx,
            message_id=message_id,
            new_status=str(status),
            code=code,
            reason=reason,
            carriers_id=known_as,
            seq=seq,
            now=time.time(),
        )
    elif known_as != row.provider_id:
        _NAME.change(tx, message_id=message_id, carriers_id=known_as)
    return forward


def requeue(tx: Connection, message_id: str) -> None:
    """Put a message that certainly was not sent back in the queue (the operator's “try again”)."""
    tx.execute(
        update(messages)
        .where(messages.c.id == message_id)
        .values(
            status=str(Status.QUEUED),
            error_code=None,
            error_reason=None,
            changed=next_seq(tx),
            updated_at=time.time(),
        )
    )


def record_status(tx: Connection, provider: str, told: DeliveryStatus) -> Message | None:
    """Keep a delivery receipt and move its message forward.

    Returns the message if its state changed. A receipt for a message that is not known yet waits
    for it, see ``join_receipts``.
    """
    row = _sent_message(tx, provider, told)
    provider_id = told.provider_id or (str(row.provider_id or row.id) if row is not None else "")
    message_id = str(row.id) if row is not None else None
    if not receipts.add(tx, provider, provider_id, message_id, told) or message_id is None:
        return None
    return _apply(tx, message_id, told.provider_id)


def is_known(tx: Connection, provider: str, provider_id: str, but: str) -> bool:
    """Whether another message than ``but`` has this carrier's id already."""
    statement = select(messages.c.id).where(
        messages.c.provider == provider,
        messages.c.provider_id == provider_id,
        messages.c.direction == "out",
        messages.c.id != but,
    )
    return tx.execute(statement).first() is not None


def join_receipts(tx: Connection, message: Message, provider_id: str) -> bool:
    """Give a message the receipts that came before its carrier's id was known; true if it moved."""
    if not receipts.adopt(tx, message.provider, provider_id, message.id):
        return False
    return _apply(tx, message.id, None) is not None


def _sent_message(tx: Connection, provider: str, told: DeliveryStatus) -> Row[Any, Any] | None:
    """The outbound message a receipt is for: by our own id where echoed, else by the carrier's."""
    outbound = and_(messages.c.direction == "out", messages.c.provider == provider)
    statement = select(messages.c.id, messages.c.provider_id).where(outbound)
    if told.message_id:
        row = tx.execute(statement.where(messages.c.id == told.message_id)).one_or_none()
        if row is not None:
            return row
    if not told.provider_id:
        return None
    return tx.execute(statement.where(messages.c.provider_id == told.provider_id)).first()


def _apply(tx: Connection, message_id: str, provider_id: str | None) -> Message | None:
    """Move a message to where its receipts say it is."""
    message = by_id(tx, message_id)
    if message is None:
        return None
    verdict = receipts.verdict(tx, message)
    if verdict is None or not advance(
        tx,
        message_id,
        verdict.status,
        provider_id=provider_id,
        code=verdict.code,
        reason=verdict.reason,
    ):
        return None
    return by_id(tx, message_id)

"""Status of outbound messages: it only moves forward, by our own sending and by receipts."""

import time
from typing import Any

import structlog
from sqlalchemy import Connection, Row, and_, bindparam, select, update

from services.core.messages import DeliveryStatus, Message, Status, advances
from services.store import receipts
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import messages
from services.store.messages import by_id, next_seq

log = structlog.get_logger()

_THIS = messages.c.id == bindparam("message_id")
_STATUS = CompiledStatement(
    lambda _: (
        select(
            messages.c.status,
            messages.c.provider_id,
            messages.c.error_reason,
            messages.c.provider,
            messages.c.number,
        )
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
_OTHER = CompiledStatement(
    lambda _: select(messages.c.id).where(
        messages.c.provider == bindparam("carrier"),
        messages.c.provider_id == bindparam("carriers_id"),
        messages.c.number == bindparam("our_number"),
        messages.c.id != bindparam("message_id"),
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
    """Move an outbound message to a later status; false if the status would move backwards.

    The carrier's id is stored in any case, unless another message of the number has it already: a
    carrier that gives one id twice has accepted the message all the same. A new ``reason`` for the
    same status is a change too.
    """
    seq = next_seq(tx)  # first, before the row: two nodes with another order would deadlock
    row = _STATUS.row(tx, message_id=message_id)
    known_as = row.provider_id or _unused(tx, message_id, row, provider_id)
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


def _unused(tx: Connection, message_id: str, row: Row[Any], provider_id: str | None) -> str | None:
    """A carrier's id, or ``None`` where another message has it."""
    if provider_id is None:
        return None
    other = _OTHER.row(
        tx,
        carrier=row.provider,
        carriers_id=provider_id,
        our_number=row.number,
        message_id=message_id,
    )
    if other is not None:
        log.warning("a carrier gave one id twice", message_id=message_id, other_message_id=other.id)
    return provider_id if other is None else None


def requeue(tx: Connection, message_id: str) -> None:
    """Queue a message again that certainly was not sent (the operator's “try again”)."""
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


def record_status(tx: Connection, provider: str, receipt: DeliveryStatus) -> Message | None:
    """Store a delivery receipt and update the status of its message.

    Returns the message if its status changed. A receipt for a message that is not known yet is
    stored without it, see ``join_receipts``.
    """
    row = _sent_message(tx, provider, receipt)
    provider_id = receipt.provider_id or (str(row.provider_id or row.id) if row is not None else "")
    message_id = str(row.id) if row is not None else None
    if not receipts.add(tx, provider, provider_id, message_id, receipt) or message_id is None:
        return None
    return _apply(tx, message_id, receipt.provider_id)


def message_of(tx: Connection, provider: str, receipt: DeliveryStatus) -> Message | None:
    """The message of ours that a receipt is about, if it is known."""
    row = _sent_message(tx, provider, receipt)
    return by_id(tx, str(row.id)) if row is not None else None


def is_known(tx: Connection, provider: str, provider_id: str, but: str) -> bool:
    """Whether a message other than ``but`` has this carrier's id."""
    statement = select(messages.c.id).where(
        messages.c.provider == provider,
        messages.c.provider_id == provider_id,
        messages.c.direction == "out",
        messages.c.id != but,
    )
    return tx.execute(statement).first() is not None


def join_receipts(tx: Connection, message: Message, provider_id: str) -> bool:
    """Attach receipts that came before the message had its carrier's id; true if it moved."""
    if not receipts.attach(tx, message.provider, provider_id, message.id):
        return False
    return _apply(tx, message.id, None) is not None


def _sent_message(tx: Connection, provider: str, receipt: DeliveryStatus) -> Row[Any, Any] | None:
    """The outbound message of a receipt, found by our own id or by the carrier's id."""
    outbound = and_(messages.c.direction == "out", messages.c.provider == provider)
    statement = select(messages.c.id, messages.c.provider_id).where(outbound)
    if receipt.message_id:
        row = tx.execute(statement.where(messages.c.id == receipt.message_id)).one_or_none()
        if row is not None:
            return row
    if not receipt.provider_id:
        return None
    return tx.execute(statement.where(messages.c.provider_id == receipt.provider_id)).first()


def _apply(tx: Connection, message_id: str, provider_id: str | None) -> Message | None:
    """Update the status of a message by its receipts."""
    message = by_id(tx, message_id)
    if message is None:
        return None
    outcome = receipts.outcome(tx, message)
    if outcome is None or not advance(
        tx,
        message_id,
        outcome.status,
        provider_id=provider_id,
        code=outcome.code,
        reason=outcome.reason,
    ):
        return None
    return by_id(tx, message_id)

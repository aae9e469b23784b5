"""Table of delivery receipts (DLR), and the status of a message that follows from them."""

import time
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, select, update

from services.core.errors import MAY_WORK_LATER
from services.core.messages import RANK, DeliveryStatus, Message, Status
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import receipts
from services.store.database.upsert import insert_new

_ATTACH = CompiledStatement(
    lambda _: (
        update(receipts)
        .where(
            receipts.c.provider == bindparam("carrier"),
            receipts.c.provider_id == bindparam("carriers_id"),
            receipts.c.message_id.is_(None),
        )
        .values(message_id=bindparam("ours"))
    )
)


# No carrier documents that a delivery follows a failure (docs/reliability.md). Should one come, the
# status stays, but nobody must be led to send the text twice.
CONTRADICTED = "Later it was reported as delivered: ask the recipient before you send it again."


@dataclass(frozen=True, slots=True)
class ReceiptStatus:
    """The status of a message that follows from its receipts."""

    status: Status
    code: str | None
    reason: str | None


def add(
    tx: Connection, provider: str, provider_id: str, message_id: str | None, receipt: DeliveryStatus
) -> bool:
    """Store a receipt; false if it is stored already."""
    row = {
        "provider": provider,
        "provider_id": provider_id,
        "message_id": message_id,
        "peer": receipt.peer,
        "event": receipt.event,
        "status": str(receipt.status),
        "code": receipt.code,
        "reason": receipt.reason,
        "at": receipt.at,
        "received_at": time.time(),
    }
    return tx.execute(insert_new(tx, receipts, receipts.c.id), row).first() is not None


def attach(tx: Connection, provider: str, provider_id: str, message_id: str) -> bool:
    """Attach receipts that came before their message was known; true if there were any."""
    return bool(_ATTACH.change(tx, carrier=provider, carriers_id=provider_id, ours=message_id))


def of(tx: Connection, message_id: str) -> list[DeliveryStatus]:
    """The receipts of a message, in the order of arrival."""
    return [receipt for _, receipt in arrivals(tx, message_id)]


def arrivals(tx: Connection, message_id: str) -> list[tuple[float, DeliveryStatus]]:
    """The receipts of a message with their arrival times, in the order of arrival."""
    statement = select(receipts).where(receipts.c.message_id == message_id).order_by(receipts.c.id)
    return [
        (
            row.received_at,
            DeliveryStatus(
                status=Status(row.status),
                event=row.event,
                provider_id=row.provider_id,
                message_id=row.message_id,
                peer=row.peer,
                code=row.code,
                reason=row.reason,
                at=row.at,
            ),
        )
        for row in tx.execute(statement)
    ]


def outcome(tx: Connection, message: Message) -> ReceiptStatus | None:
    """The status of a message by its receipts, or ``None`` without any.

    A group message is final when all recipients have a final receipt: delivered if at least one has
    received it, else failed. Of two final receipts for one recipient, the first counts; the reason
    of a failure says that a delivery was reported later.
    """
    known = of(tx, message.id)
    if not known:
        return None
    latest: dict[str, DeliveryStatus] = {}
    for receipt in known:
        before = latest.get(receipt.peer)
        if before is None or _supersedes(receipt, before):
            latest[receipt.peer] = receipt
        elif (before.status, receipt.status) == (Status.FAILED, Status.DELIVERED):
            latest[receipt.peer] = replace(before, reason=_contradicted(before.reason or ""))
    if not message.participants:
        best = max(latest.values(), key=lambda each: (RANK[each.status], each.reason is not None))
        return ReceiptStatus(best.status, best.code, best.reason)
    return _group_outcome(message, list(latest.values()))


def _contradicted(reason: str) -> str:
    """The reason of a failure after a delivery was reported, without advice to send again."""
    for advice in (CONTRADICTED, MAY_WORK_LATER):
        reason = reason.removesuffix(advice).rstrip()
    return f"{reason} {CONTRADICTED}".lstrip()


def _supersedes(receipt: DeliveryStatus, before: DeliveryStatus) -> bool:
    """Whether it has a later status, or the same with a reason that was missing before."""
    if receipt.status is before.status:
        return receipt.reason is not None and before.reason is None
    return RANK[receipt.status] > RANK[before.status]


def _group_outcome(message: Message, latest: list[DeliveryStatus]) -> ReceiptStatus:
    failed = [each for each in latest if each.status is Status.FAILED]
    delivered = [each for each in latest if each.status is Status.DELIVERED]
    total = len(message.recipients)
    code = failed[0].code if failed else None
    reason = None
    if failed:
        reason = f"{len(failed)} of {total} recipients did not get it: {failed[0].reason}"
    if len(failed) + len(delivered) < total:
        sent = any(RANK[each.status] >= RANK[Status.SENT] for each in latest)
        return ReceiptStatus(Status.SENT if sent else Status.SENDING, code, reason)
    return ReceiptStatus(Status.DELIVERED if delivered else Status.FAILED, code, reason)

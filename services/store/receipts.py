"""Delivery receipts: every one is kept once; together they say where a message is."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from services.core.messages import RANK, DeliveryStatus, Message, Status
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import receipts
from services.store.database.upsert import insert_new

_ADOPT = CompiledStatement(
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a message is, by its receipts."""

    status: Status
    code: str | None
    reason: str | None


def add(
    tx: Connection, provider: str, provider_id: str, message_id: str | None, told: DeliveryStatus
) -> bool:
    """Keep a receipt; false for one that is there already."""
    row = {
        "provider": provider,
        "provider_id": provider_id,
        "message_id": message_id,
        "peer": told.peer,
        "event": told.event,
        "status": str(told.status),
        "code": told.code,
        "reason": told.reason,
        "at": told.at,
        "received_at": time.time(),
    }
    return tx.execute(insert_new(tx, receipts, receipts.c.id), row).first() is not None


def adopt(tx: Connection, provider: str, provider_id: str, message_id: str) -> bool:
    """Give waiting receipts of a carrier's id to their message; true if there were any."""
    return bool(_ADOPT.change(tx, carrier=provider, carriers_id=provider_id, ours=message_id))


def of(tx: Connection, message_id: str) -> list[DeliveryStatus]:
    """The receipts of a message in the order in which they came."""
    return [told for _, told in arrivals(tx, message_id)]


def arrivals(tx: Connection, message_id: str) -> list[tuple[float, DeliveryStatus]]:
    """The receipts of a message in the order in which they came, each with when it did."""
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


def verdict(tx: Connection, message: Message) -> Verdict | None:
    """Where a message is by its receipts, or ``None`` without any.

    A group is delivered when nothing is open and somebody has it; it has failed when nobody has.
    Of two contradicting final receipts for one recipient, the first that came counts.
    """
    known = of(tx, message.id)
    if not known:
        return None
    latest: dict[str, DeliveryStatus] = {}
    for told in known:
        before = latest.get(told.peer)
        if before is None or _says_more(told, before):
            latest[told.peer] = told
    if not message.participants:
        best = max(latest.values(), key=lambda told: (RANK[told.status], told.reason is not None))
        return Verdict(best.status, best.code, best.reason)
    return _group_verdict(message, list(latest.values()))


def _says_more(told: DeliveryStatus, before: DeliveryStatus) -> bool:
    """A later state, or the same one with a reason (“no confirmation came”)."""
    if told.status is before.status:
        return told.reason is not None and before.reason is None
    return RANK[told.status] > RANK[before.status]


def _group_verdict(message: Message, latest: list[DeliveryStatus]) -> Verdict:
    failed = [told for told in latest if told.status is Status.FAILED]
    delivered = [told for told in latest if told.status is Status.DELIVERED]
    total = len(message.recipients)
    code = failed[0].code if failed else None
    reason = None
    if failed:
        reason = f"{len(failed)} of {total} recipients did not get it: {failed[0].reason}"
    if len(failed) + len(delivered) < total:
        left = any(RANK[told.status] >= RANK[Status.SENT] for told in latest)
        return Verdict(Status.SENT if left else Status.SENDING, code, reason)
    return Verdict(Status.DELIVERED if delivered else Status.FAILED, code, reason)

"""Retention: finds messages, files and other rows that are older than the operator keeps them.

They are found in small batches. Each query reads a limited number of the oldest messages, so that
it is short in a large database too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from services.core.messages import Status
from services.store import bulk_sends
from services.store.database import audit_counters, clock
from services.store.database.schema import (
    DEAD,
    KEPT,
    UNROUTED,
    attachments,
    conversations,
    devices,
    jobs,
    messages,
    pairings,
    quarantine,
    receipts,
)
from services.store.maintenance.removal import BATCH, awaits_work

SCAN_LIMIT = 1000  # oldest messages that one query reads
NO_LONGER_KEPT = "This file is no longer kept."


@dataclass(frozen=True, slots=True)
class Outdated:
    """How much would be deleted.

    ``given_up`` and ``unrouted`` are included in ``messages``. ``waiting`` messages are as old but
    stay, because they have open jobs or are scheduled. ``files`` and ``bytes`` are of all deleted
    files.
    """

    messages: int = 0
    conversations: int = 0
    given_up: int = 0
    unrouted: int = 0
    waiting: int = 0
    files: int = 0
    bytes: int = 0
    quarantined: int = 0


def old_messages(tx: Connection, before: float) -> list[str]:
    """The ids of the next messages before a time (seconds since 1970), oldest first."""
    ended = select(messages.c.seq).where(messages.c.status != str(Status.SCHEDULED))
    first = ended.order_by(messages.c.seq).limit(SCAN_LIMIT).subquery()
    statement = (
        select(messages.c.id)
        .where(
            messages.c.seq.in_(select(first.c.seq)),
            messages.c.created_at < before,
            ~awaits_work(),
        )
        .order_by(messages.c.seq)
        .limit(BATCH)
    )
    return [str(message_id) for (message_id,) in tx.execute(statement)]


def old_files(tx: Connection, before: float) -> list[str]:
    """The ids of the next stored files before a time, of messages that await no work."""
    statement = (
        select(attachments.c.id)
        .join(messages, messages.c.id == attachments.c.message_id)
        .where(KEPT, attachments.c.created_at < before, ~awaits_work())
        .order_by(attachments.c.created_at)
        .limit(BATCH)
    )
    return [str(file_id) for (file_id,) in tx.execute(statement)]


def mark_deleted(tx: Connection, file_ids: Iterable[str]) -> None:
    """Mark these files as deleted; their messages stay."""
    tx.execute(
        update(attachments)
        .where(attachments.c.id.in_(list(file_ids)))
        .values(state="failed", reason=NO_LONGER_KEPT)
    )


def remove_rest(tx: Connection, before: float) -> int:
    """Delete rows before a time that belong to no message: one batch of each kind.

    They are quarantined calls, receipts of unknown messages, bulk sends without messages, revoked
    devices and expired pairing codes. Returns the size of the largest batch of the first three.
    """
    oldest = select(quarantine.c.id, quarantine.c.received_at).order_by(quarantine.c.id)
    calls = [row.id for row in tx.execute(oldest.limit(BATCH)) if row.received_at < before]
    statement = select(receipts.c.id).where(
        receipts.c.message_id.is_(None), receipts.c.received_at < before
    )
    receipt_ids = [row.id for row in tx.execute(statement.limit(BATCH))]
    removed = tx.execute(delete(quarantine).where(quarantine.c.id.in_(calls)))
    audit_counters.removed(tx, quarantined=removed.rowcount)
    tx.execute(delete(receipts).where(receipts.c.id.in_(receipt_ids)))
    tx.execute(delete(devices).where(devices.c.revoked_at < before))
    tx.execute(delete(pairings).where(pairings.c.expires_at < clock.now(tx)))
    return max(len(calls), len(receipt_ids), bulk_sends.remove_old(tx, before))


def outdated(tx: Connection, before: float | None, files_before: float | None) -> Outdated:
    """Count what would be deleted: messages before a time and files before another (or ``None``).

    It changes nothing. It reads every message, so it is slow.
    """
    if before is None:
        return Outdated() if files_before is None else _files(tx, _file_expired(files_before))
    old = messages.c.created_at < before
    expired = and_(old, ~awaits_work())
    remains = exists().where(messages.c.conversation_id == conversations.c.id, ~expired)
    files = expired if files_before is None else or_(expired, _file_expired(files_before))
    deleted = _files(tx, files)
    dead = exists().where(jobs.c.message_id == messages.c.id, DEAD)
    return Outdated(
        messages=_count(tx, messages, expired),
        conversations=_count(tx, conversations, ~remains),
        given_up=_count(tx, messages, and_(expired, dead)),
        unrouted=_count(tx, messages, and_(expired, UNROUTED)),
        waiting=_count(tx, messages, and_(old, awaits_work())),
        files=deleted.files,
        bytes=deleted.bytes,
        quarantined=_count(tx, quarantine, quarantine.c.received_at < before),
    )


def _file_expired(before: float) -> ColumnElement[bool]:
    return and_(attachments.c.created_at < before, ~awaits_work())


def _files(tx: Connection, condition: ColumnElement[bool]) -> Outdated:
    statement = (
        select(func.count(), func.coalesce(func.sum(attachments.c.size), 0))
        .select_from(attachments.join(messages, messages.c.id == attachments.c.message_id))
        .where(attachments.c.state == "kept", condition)
    )
    files, size = tx.execute(statement).one()
    return Outdated(files=int(files), bytes=int(size))


def _count(tx: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return int(tx.execute(select(func.count()).select_from(table).where(condition)).scalar_one())

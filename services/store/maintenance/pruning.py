"""What is older than it is to be kept: found in small batches, and counted before it goes.

Messages are looked at in the order in which they came, a bounded number of them, so that nobody
waits for a look however many there are.
"""

import time
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

from services.store.database import audit_counters
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

LOOK = 1000
NO_LONGER_KEPT = "This file is no longer kept."


@dataclass(frozen=True, slots=True)
class Outdated:
    """How much is older than it is to be kept.

    ``given_up`` and ``unrouted`` are among ``messages``; ``waiting`` are as old and stay, because
    something is still to be done for them. ``files`` are all that go, ``bytes`` what they take.
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
    """The ids of the next messages from before a time (seconds since 1970), oldest first."""
    first = select(messages.c.seq).order_by(messages.c.seq).limit(LOOK).subquery()
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
    """The ids of the next kept files from before a time, of messages with nothing left to do."""
    statement = (
        select(attachments.c.id)
        .join(messages, messages.c.id == attachments.c.message_id)
        .where(KEPT, attachments.c.created_at < before, ~awaits_work())
        .order_by(attachments.c.created_at)
        .limit(BATCH)
    )
    return [str(file_id) for (file_id,) in tx.execute(statement)]


def note_gone(tx: Connection, file_ids: Iterable[str]) -> None:
    """Let messages say that these files are no longer kept."""
    tx.execute(
        update(attachments)
        .where(attachments.c.id.in_(list(file_ids)))
        .values(state="failed", reason=NO_LONGER_KEPT)
    )


def remove_rest(tx: Connection, before: float) -> int:
    """Remove what belongs to no message and is from before a time; returns how many rows at most.

    That is the quarantine, receipts of messages that are not known, and revoked devices.
    """
    oldest = select(quarantine.c.id, quarantine.c.received_at).order_by(quarantine.c.id)
    calls = [row.id for row in tx.execute(oldest.limit(BATCH)) if row.received_at < before]
    statement = select(receipts.c.id).where(
        receipts.c.message_id.is_(None), receipts.c.received_at < before
    )
    strays = [row.id for row in tx.execute(statement.limit(BATCH))]
    removed = tx.execute(delete(quarantine).where(quarantine.c.id.in_(calls)))
    audit_counters.removed(tx, quarantined=removed.rowcount)
    tx.execute(delete(receipts).where(receipts.c.id.in_(strays)))
    tx.execute(delete(devices).where(devices.c.revoked_at < before))
    tx.execute(delete(pairings).where(pairings.c.expires_at < time.time()))
    return max(len(calls), len(strays))


def outdated(tx: Connection, before: float | None, files_before: float | None) -> Outdated:
    """What would go: messages from before a time, and files from before another; nothing changes.

    Looks at every message, so it is for the operator and not for the road.
    """
    if before is None:
        return Outdated() if files_before is None else _files(tx, _of_age(files_before))
    old = messages.c.created_at < before
    goes = and_(old, ~awaits_work())
    stays = exists().where(messages.c.conversation_id == conversations.c.id, ~goes)
    files = goes if files_before is None else or_(goes, _of_age(files_before))
    going = _files(tx, files)
    dead = exists().where(jobs.c.message_id == messages.c.id, DEAD)
    return Outdated(
        messages=_count(tx, messages, goes),
        conversations=_count(tx, conversations, ~stays),
        given_up=_count(tx, messages, and_(goes, dead)),
        unrouted=_count(tx, messages, and_(goes, UNROUTED)),
        waiting=_count(tx, messages, and_(old, awaits_work())),
        files=going.files,
        bytes=going.bytes,
        quarantined=_count(tx, quarantine, quarantine.c.received_at < before),
    )


def _of_age(before: float) -> ColumnElement[bool]:
    return and_(attachments.c.created_at < before, ~awaits_work())


def _files(tx: Connection, which: ColumnElement[bool]) -> Outdated:
    statement = (
        select(func.count(), func.coalesce(func.sum(attachments.c.size), 0))
        .select_from(attachments.join(messages, messages.c.id == attachments.c.message_id))
        .where(attachments.c.state == "kept", which)
    )
    files, size = tx.execute(statement).one()
    return Outdated(files=int(files), bytes=int(size))


def _count(tx: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return int(tx.execute(select(func.count()).select_from(table).where(which)).scalar_one())

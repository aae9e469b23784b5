"""Tables of bulk sends and of the recipients that each left out; their texts are ``messages``.

Every recipient of a bulk send has one scheduled message of their own, with its ``bulk_send_id``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, func, select, update

from services.core.messages import Message, Status, uuid7
from services.store.database import clock
from services.store.database.schema import (
    BULK_QUEUED,
    SCHEDULED,
    bulk_left_out,
    bulk_sends,
    messages,
)
from services.store.messages import load

BATCH = 100  # bulk sends that are deleted in one transaction


@dataclass(frozen=True, slots=True)
class BulkSend:
    """One bulk send; ``text`` has its fields, such as ``{name}``, ``number`` is ours.

    Times are seconds since 1970; ``send_at`` is as asked for. ``recipients`` counts those to whom
    it is sent. ``fingerprint`` tells a repeated request from a reused ``client_id``.
    """

    name: str
    extension: str
    number: str
    text: str
    made_by: str
    send_at: float
    recipients: int
    fingerprint: str
    client_id: str | None = None
    id: str = field(default_factory=uuid7)
    created_at: float = 0.0
    cancelled_at: float | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A recipient to whom nothing is sent: the line of the list, the number, a code and why."""

    line: int
    number: str
    code: str
    reason: str


def add(tx: Connection, new: BulkSend, left_out: Sequence[LeftOut]) -> BulkSend:
    """Store a bulk send with those that it leaves out; the caller adds its messages.

    Raises ``IntegrityError`` if the extension has used the ``client_id`` before.
    """
    kept = replace(new, created_at=clock.now(tx))
    tx.execute(
        bulk_sends.insert(), {column.name: getattr(kept, column.name) for column in bulk_sends.c}
    )
    if left_out:
        tx.execute(
            bulk_left_out.insert(),
            [
                {
                    "bulk_send_id": kept.id,
                    "line": one.line,
                    "number": one.number,
                    "code": one.code,
                    "reason": one.reason,
                }
                for one in left_out
            ],
        )
    return kept


def by_id(tx: Connection, bulk_send_id: str, extension: str | None = None) -> BulkSend | None:
    """A bulk send; with ``extension`` only if it is of that one."""
    statement = select(bulk_sends).where(bulk_sends.c.id == bulk_send_id)
    if extension is not None:
        statement = statement.where(bulk_sends.c.extension == extension)
    row = tx.execute(statement).one_or_none()
    return _bulk_send(row) if row is not None else None


def by_client_id(tx: Connection, extension: str, client_id: str) -> BulkSend | None:
    """The bulk send that an extension made with a ``client_id``."""
    this = and_(bulk_sends.c.extension == extension, bulk_sends.c.client_id == client_id)
    row = tx.execute(select(bulk_sends).where(this)).one_or_none()
    return _bulk_send(row) if row is not None else None


def page(
    tx: Connection,
    *,
    limit: int,
    offset: int = 0,
    extension: str | None = None,
    numbers: Sequence[str] | None = None,
) -> list[BulkSend]:
    """Bulk sends of one extension or of all, by some numbers or by all, the newest first."""
    statement = select(bulk_sends).order_by(bulk_sends.c.id.desc()).limit(limit).offset(offset)
    if extension is not None:
        statement = statement.where(bulk_sends.c.extension == extension)
    if numbers is not None:
        statement = statement.where(bulk_sends.c.number.in_(numbers))
    return [_bulk_send(row) for row in tx.execute(statement)]


def counts(tx: Connection, bulk_send_ids: Sequence[str]) -> dict[str, dict[Status, int]]:
    """How many texts of each bulk send are in which state."""
    found: dict[str, dict[Status, int]] = {one: {} for one in bulk_send_ids}
    statement = select(messages.c.bulk_send_id, messages.c.status, func.count()).where(
        messages.c.bulk_send_id.in_(bulk_send_ids)
    )
    for one, status, count in tx.execute(
        statement.group_by(messages.c.bulk_send_id, messages.c.status)
    ):
        found[one][Status(status)] = int(count)
    return found


def texts(
    tx: Connection,
    bulk_send_id: str,
    *,
    limit: int | None = None,
    offset: int = 0,
    status: Status | None = None,
) -> list[Message]:
    """The messages of a bulk send in the order of its recipients, of one state or of all."""
    statement = select(messages).where(messages.c.bulk_send_id == bulk_send_id)
    if status is not None:
        statement = statement.where(messages.c.status == str(status))
    statement = statement.order_by(messages.c.id).limit(limit).offset(offset)
    return load(tx, tx.execute(statement).all())


def left_out(tx: Connection, bulk_send_id: str) -> list[LeftOut]:
    """Those that a bulk send left out, by their line."""
    this = bulk_left_out.c.bulk_send_id == bulk_send_id
    rows = tx.execute(select(bulk_left_out).where(this).order_by(bulk_left_out.c.line))
    return [LeftOut(row.line, row.number, row.code, row.reason) for row in rows]


def left_out_of(tx: Connection, addresses: Sequence[str]) -> list[tuple[str, LeftOut]]:
    """Where bulk sends left out these addresses: the name of each and the line."""
    statement = (
        select(bulk_sends.c.name, bulk_left_out)
        .join(bulk_left_out, bulk_left_out.c.bulk_send_id == bulk_sends.c.id)
        .where(bulk_left_out.c.number.in_(addresses))
        .order_by(bulk_sends.c.id)
    )
    return [
        (str(row.name), LeftOut(row.line, row.number, row.code, row.reason))
        for row in tx.execute(statement)
    ]


def mark_cancelled(tx: Connection, bulk_send_id: str) -> None:
    """Note that a bulk send was cancelled; the first time stays."""
    this = and_(bulk_sends.c.id == bulk_send_id, bulk_sends.c.cancelled_at.is_(None))
    tx.execute(update(bulk_sends).where(this).values(cancelled_at=clock.now(tx)))


def has_due(tx: Connection, now: float) -> bool:
    """Whether a text of a bulk send is due at ``now`` (``clock.now``)."""
    due = exists().where(SCHEDULED, messages.c.bulk_send_id.is_not(None), messages.c.send_at <= now)
    return bool(tx.execute(select(due)).scalar())


def due_numbers(tx: Connection, now: float) -> list[str]:
    """Our numbers of which a text of a bulk send is due, the one that waits longest first."""
    statement = (
        select(messages.c.number)
        .where(SCHEDULED, messages.c.bulk_send_id.is_not(None), messages.c.send_at <= now)
        .group_by(messages.c.number)
        .order_by(func.min(messages.c.send_at))
    )
    return [str(number) for (number,) in tx.execute(statement)]


def due(tx: Connection, now: float, number: str, limit: int) -> list[Message]:
    """Texts of bulk sends from a number of ours that are due, by their time."""
    statement = (
        select(messages)
        .where(
            SCHEDULED,
            messages.c.bulk_send_id.is_not(None),
            messages.c.send_at <= now,
            messages.c.number == number,
        )
        .order_by(messages.c.send_at, messages.c.id)
        .limit(limit)
    )
    return load(tx, tx.execute(statement).all())


def count_queued(tx: Connection, provider: str) -> int:
    """How many texts of bulk sends are queued or being sent at a carrier."""
    statement = select(func.count()).select_from(messages).where(BULK_QUEUED)
    return int(tx.execute(statement.where(messages.c.provider == provider)).scalar_one())


def remove_old(tx: Connection, before: float) -> int:
    """Delete bulk sends that were made before a time and have no messages any more: one batch."""
    has_texts = exists().where(messages.c.bulk_send_id == bulk_sends.c.id)
    statement = (
        select(bulk_sends.c.id)
        .where(bulk_sends.c.created_at < before, ~has_texts)
        .order_by(bulk_sends.c.id)
        .limit(BATCH)
    )
    old = [str(one) for (one,) in tx.execute(statement)]
    tx.execute(delete(bulk_left_out).where(bulk_left_out.c.bulk_send_id.in_(old)))
    tx.execute(delete(bulk_sends).where(bulk_sends.c.id.in_(old)))
    return len(old)


def forget(tx: Connection, address: str) -> None:
    """Delete that bulk sends left out an address."""
    tx.execute(delete(bulk_left_out).where(bulk_left_out.c.number == address))


def _bulk_send(row: Row[Any]) -> BulkSend:
    return BulkSend(**{column.name: getattr(row, column.name) for column in bulk_sends.c})

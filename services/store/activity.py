"""Statistics: number of messages by hour (UTC), carrier, direction and status.

The counts are kept longer than the messages. Receiving a message does not wait for them: the worker
counts new messages by ``seq`` and changed ones by ``changed`` (``count``). ``activity_open`` has
the status under which a message was counted, as long as it may change. So a change moves the
message from one count to another, and no message is counted twice.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, select, text

from services.core.messages import Status
from services.store import counters, messages
from services.store.database.schema import (
    RELEASED,
    activity,
    activity_open,
    activity_pushes,
)
from services.store.database.schema import messages as messages_table
from services.store.database.upsert import insert

MARK = "counted"  # name of the counter with the ``seq`` up to which messages have been counted
BATCH = 500  # range of ``seq`` in one transaction: about 6 ms, for which other writers wait
HOUR = 3600
KEPT_HOURS = 90 * 24
PRUNE_BATCH = 5000

_COLUMNS = ("seq", "provider", "direction", "status", "created_at")
_NEW = select(*(messages_table.c[name] for name in _COLUMNS))
# The index of ``changed`` begins with our number: this goes from one number to the next.
_CHANGED = text(
    """
    WITH RECURSIVE owned (number) AS (
        SELECT min(number) FROM messages
        UNION ALL
        SELECT (SELECT min(number) FROM messages WHERE number > owned.number)
        FROM owned WHERE number IS NOT NULL
    )
    SELECT seq, provider, direction, status, created_at
    FROM owned CROSS JOIN messages
    WHERE messages.number = owned.number AND changed > :mark AND changed <= :top
    """
)


@dataclass(frozen=True, slots=True)
class MessageGroup:
    """The kind of a message: messages of one kind are counted together."""

    provider: str
    direction: str
    status: Status


Counts = Counter[tuple[int, MessageGroup]]  # by the hour and the kind


def is_behind(tx: Connection) -> bool:
    """Whether there are new or changed messages that are not counted yet."""
    return messages.latest_seq(tx) > (counters.value(tx, MARK) or 0)


def count(tx: Connection) -> bool:
    """Count the next new and changed messages; true if there are more."""
    mark, latest = counters.locked_value(tx, MARK), messages.latest_seq(tx)
    top = min(mark + BATCH, latest)
    changes: Counts = Counter()
    uncertain = _count_new(tx, mark, top, changes) | _count_changed(tx, mark, top, changes)
    _add(tx, changes)
    _update_open(tx, uncertain)
    counters.put(tx, MARK, top)
    return top < latest


def counts(tx: Connection, first: int, step: int) -> Counts:
    """Number of messages since an hour, in periods of ``step`` hours, by the first hour of each."""
    slot = activity.c.hour - (activity.c.hour - first) % step
    kind = (activity.c.provider, activity.c.direction, activity.c.status)
    statement = (
        select(slot.label("slot"), *kind, func.sum(activity.c.count).label("messages"))
        .where(activity.c.hour >= first)
        .group_by(slot, *kind)
    )
    return Counter({(row.slot, _kind(row)): int(row.messages) for row in tx.execute(statement)})


def prune(tx: Connection) -> bool:
    """Delete counts older than 90 days; true if there may be more of them."""
    oldest = int(time.time()) // HOUR - KEPT_HOURS
    for table in (activity, activity_pushes):
        tx.execute(delete(table).where(table.c.hour < oldest))
    first = select(activity_open.c.seq, activity_open.c.hour).order_by(activity_open.c.seq)
    old = [row.seq for row in tx.execute(first.limit(PRUNE_BATCH)) if row.hour < oldest]
    if old:
        tx.execute(delete(activity_open).where(activity_open.c.seq.in_(old)))
    return len(old) == PRUNE_BATCH


def _count_new(tx: Connection, mark: int, top: int, changes: Counts) -> dict[int, Row[Any]]:
    """Count new messages; returns the outbound ones, whose status may still change."""
    oldest = int(time.time()) // HOUR - KEPT_HOURS
    is_new = (messages_table.c.seq > mark, messages_table.c.seq <= top, RELEASED)
    rows = tx.execute(_NEW.where(*is_new))
    recent = [row for row in rows if _hour(row) >= oldest]
    changes.update((_hour(row), _kind(row)) for row in recent)
    return {row.seq: row for row in recent if row.direction == "out"}


def _count_changed(tx: Connection, mark: int, top: int, changes: Counts) -> dict[int, Row[Any]]:
    """Move changed messages to the count of their new status; returns them."""
    rows = {row.seq: row for row in tx.execute(_CHANGED, {"mark": mark, "top": top})}
    statement = select(activity_open).where(activity_open.c.seq.in_(list(rows)))
    moved = {}
    for was in tx.execute(statement) if rows else ():
        now = rows[was.seq]
        if now.status != was.status:
            changes[was.hour, MessageGroup(now.provider, now.direction, Status(was.status))] -= 1
            changes[was.hour, _kind(now)] += 1
            moved[now.seq] = now
    return moved


def _add(tx: Connection, changes: Mapping[tuple[int, MessageGroup], int]) -> None:
    rows = [
        {
            "hour": hour,
            "provider": kind.provider,
            "direction": kind.direction,
            "status": str(kind.status),
            "count": change,
        }
        for (hour, kind), change in changes.items()
        if change
    ]
    add_counts(tx, activity, rows)


def add_counts(tx: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Add the ``count`` of each row to the row with the same key."""
    statement = insert(tx, table)
    total = table.c.count + statement.excluded.count
    if rows:
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key), set_={"count": total}
            ),
            rows,
        )


def _update_open(tx: Connection, found: Mapping[int, Row[Any]]) -> None:
    """Store the status under which these were counted; a delivered message changes no more."""
    rows = [
        {"seq": seq, "hour": _hour(row), "status": row.status}
        for seq, row in found.items()
        if row.status != Status.DELIVERED
    ]
    delivered = [seq for seq, row in found.items() if row.status == Status.DELIVERED]
    if rows:
        statement = insert(tx, activity_open)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["seq"], set_={"status": statement.excluded.status}
            ),
            rows,
        )
    if delivered:
        tx.execute(delete(activity_open).where(activity_open.c.seq.in_(delivered)))


def _hour(row: Any) -> int:
    return int(row.created_at // HOUR)


def _kind(row: Any) -> MessageGroup:
    return MessageGroup(row.provider, row.direction, Status(row.status))

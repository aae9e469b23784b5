"""Quarantine: table of authentic webhook calls, or parts of them, that could not be parsed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from services.core.messages import WebhookCall
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.schema import WAITING, quarantine
from services.store.inbox import without_credentials


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One unreadable call, or part of it."""

    id: int
    provider: str
    method: str
    headers: Mapping[str, str]
    query: str
    body: bytes
    reason: str
    received_at: float
    replayed_at: float | None

    def call(self) -> WebhookCall:
        """The call as it was received, without its credentials."""
        return WebhookCall(self.method, self.headers, self.query, self.body)


def add(tx: Connection, provider: str, call: WebhookCall, reason: str, body: bytes) -> None:
    """Store a call (or the part ``body`` of it) without its credentials."""
    kept = without_credentials(call)
    tx.execute(
        quarantine.insert().values(
            provider=provider,
            method=kept.method,
            headers=dict(kept.headers),
            query=kept.query,
            body=body,
            reason=reason,
            received_at=time.time(),
        )
    )
    audit_counters.add(tx, AuditCounter.QUARANTINED)


def waiting(tx: Connection, limit: int = 100) -> list[Quarantined]:
    """Calls that were not replayed yet, oldest first."""
    statement = select(quarantine).where(WAITING).order_by(quarantine.c.id).limit(limit)
    return [_quarantined(row) for row in tx.execute(statement)]


def page(tx: Connection, limit: int, before: int | None = None) -> list[Quarantined]:
    """Calls that were not replayed yet, newest first, with ids below ``before`` if given."""
    statement = select(quarantine).where(WAITING).order_by(quarantine.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(quarantine.c.id < before)
    return [_quarantined(row) for row in tx.execute(statement)]


def waiting_because(tx: Connection, reasons: Sequence[str], after: int, limit: int) -> list[int]:
    """The ids of calls that wait for one of these reasons (patterns of SQL), after an id."""
    matches = or_(*(quarantine.c.reason.like(reason) for reason in reasons))
    statement = select(quarantine.c.id).where(WAITING, quarantine.c.id > after, matches)
    return list(tx.execute(statement.order_by(quarantine.c.id).limit(limit)).scalars())


def by_id(tx: Connection, row_id: int) -> Quarantined | None:
    """A quarantined call."""
    row = tx.execute(select(quarantine).where(quarantine.c.id == row_id)).one_or_none()
    return _quarantined(row) if row is not None else None


def replayed(tx: Connection, row_id: int) -> None:
    """Mark a call as replayed: it could be read now."""
    tx.execute(update(quarantine).where(quarantine.c.id == row_id).values(replayed_at=time.time()))


def drop(tx: Connection, row_id: int) -> bool:
    """Delete a call that was not replayed; false if there is none."""
    statement = delete(quarantine).where(WAITING, quarantine.c.id == row_id)
    dropped = tx.execute(statement).rowcount
    audit_counters.removed(tx, quarantined=dropped)
    return bool(dropped)


def count(tx: Connection) -> int:
    """Number of calls that were not replayed yet."""
    statement = select(func.count()).select_from(quarantine).where(WAITING)
    return int(tx.execute(statement).scalar_one())


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        id=row.id,
        provider=row.provider,
        method=row.method,
        headers=row.headers,
        query=row.query,
        body=bytes(row.body),
        reason=row.reason,
        received_at=row.received_at,
        replayed_at=row.replayed_at,
    )

"""Inbox: table of webhook calls that are acknowledged and not processed yet."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from sqlalchemy import ColumnElement, Connection, delete, func, select

from services.core.messages import WebhookCall, clean
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import inbox

KEPT_HEADERS = ("content-type", "user-agent")
_ADD = CompiledStatement(lambda _: inbox.insert())


@dataclass(frozen=True, slots=True)
class InboxCall:
    """One call of a carrier, without its credentials; ``received_at`` is seconds since 1970."""

    id: int
    provider: str
    call: WebhookCall
    received_at: float


def without_credentials(call: WebhookCall) -> WebhookCall:
    """A call as it may be stored: no token, no ``Authorization``, only the headers to parse it."""
    headers = {name: call.headers[name] for name in KEPT_HEADERS if name in call.headers}
    arguments = call.query.split("&")
    query = "&".join(one for one in arguments if unquote_plus(one.partition("=")[0]) != "token")
    return WebhookCall(call.method, headers, clean(query), call.body)


def add(tx: Connection, provider: str, call: WebhookCall) -> None:
    """Append a call."""
    kept = without_credentials(call)
    _ADD.change(
        tx,
        provider=provider,
        method=kept.method,
        headers=dict(kept.headers),
        query=kept.query,
        body=kept.body,
        received_at=time.time(),
    )
    audit_counters.add(tx, AuditCounter.CALLS_RECEIVED)


def oldest(
    tx: Connection,
    which: ColumnElement[bool],
    *,
    calls: int,
    size: int,
    without: Collection[int] = (),
) -> list[InboxCall]:
    """The oldest calls: at most ``calls``, and at most ``size`` bytes of bodies or one call.

    ``which`` selects the carriers, see ``of`` and ``not_of``; the ids ``without`` are left out.
    """
    sizes = select(inbox.c.id, func.length(inbox.c.body)).where(which)
    if without:
        sizes = sizes.where(inbox.c.id.not_in(list(without)))
    chosen: list[int] = []
    for row_id, length in tx.execute(sizes.order_by(inbox.c.id).limit(calls)):
        size -= length
        if chosen and size < 0:
            break
        chosen.append(row_id)
    return by_ids(tx, chosen) if chosen else []


def by_ids(tx: Connection, ids: Sequence[int]) -> list[InboxCall]:
    """Calls by their ids, oldest first."""
    rows = tx.execute(select(inbox).where(inbox.c.id.in_(ids)).order_by(inbox.c.id))
    return [
        InboxCall(
            row.id,
            row.provider,
            WebhookCall(row.method, row.headers, row.query, bytes(row.body)),
            row.received_at,
        )
        for row in rows
    ]


def of(providers: Iterable[str]) -> ColumnElement[bool]:
    """SQL condition: calls of these carriers."""
    return inbox.c.provider.in_(sorted(providers))


def not_of(providers: Iterable[str]) -> ColumnElement[bool]:
    """SQL condition: calls of all other carriers."""
    return inbox.c.provider.not_in(sorted(providers))


def remove(tx: Connection, ids: Sequence[int]) -> set[int]:
    """Remove calls that are processed in this transaction; returns those that were still there."""
    statement = delete(inbox).where(inbox.c.id.in_(ids)).returning(inbox.c.id)
    removed = {int(row_id) for (row_id,) in tx.execute(statement)}
    audit_counters.add(tx, AuditCounter.CALLS_PROCESSED, len(removed))
    return removed


def count(tx: Connection) -> int:
    """How many calls are not processed yet."""
    return int(tx.execute(select(func.count()).select_from(inbox)).scalar_one())


def oldest_received_at(tx: Connection) -> float | None:
    """When the oldest call was received (seconds since 1970); ``None`` for an empty inbox."""
    statement = select(inbox.c.received_at).order_by(inbox.c.id).limit(1)
    found = tx.execute(statement).scalar()
    return float(found) if found is not None else None

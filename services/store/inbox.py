"""Inbox: table of webhook calls that are acknowledged and not processed yet."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from sqlalchemy import (
    BindParameter,
    Boolean,
    Connection,
    Integer,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
)

from services.core.messages import WebhookCall, clean
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import inbox

KEPT_HEADERS = ("content-type", "user-agent")
_ADD = CompiledStatement(lambda _: inbox.insert())
_IDS: BindParameter[Sequence[int]] = bindparam("ids", expanding=True)
_BY_IDS = CompiledStatement(
    lambda _: select(inbox).where(inbox.c.id.in_(_IDS)).order_by(inbox.c.id)
)
_OLDEST = CompiledStatement(
    lambda _: (
        select(inbox.c.id, func.length(inbox.c.body).label("size"))
        .where(
            or_(
                inbox.c.provider.in_(bindparam("providers", expanding=True)),
                and_(
                    bindparam("others", type_=Boolean),
                    inbox.c.provider.not_in(bindparam("known", expanding=True)),
                ),
            ),
            inbox.c.id.not_in(bindparam("without", expanding=True)),
        )
        .order_by(inbox.c.id)
        .limit(bindparam("limit", type_=Integer))
    )
)
_REMOVE = CompiledStatement(
    lambda _: delete(inbox).where(inbox.c.id.in_(_IDS)).returning(inbox.c.id)
)


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
    providers: Collection[str],
    others_than: Collection[str] | None = None,
    *,
    calls: int,
    size: int,
    without: Collection[int] = (),
) -> list[InboxCall]:
    """The oldest calls: at most ``calls``, and at most ``size`` bytes of bodies or one call.

    They are those of some carriers, with ``others_than`` also of all carriers that are not among
    these. The ids ``without`` are left out.
    """
    found = _OLDEST.rows(
        tx,
        providers=[*providers, ""],
        others=others_than is not None,
        known=[*(others_than or ()), ""],
        without=[*without, 0],
        limit=calls,
    )
    chosen: list[int] = []
    for row in found:
        size -= row.size
        if chosen and size < 0:
            break
        chosen.append(row.id)
    return by_ids(tx, chosen) if chosen else []


def by_ids(tx: Connection, ids: Sequence[int]) -> list[InboxCall]:
    """Calls by their ids, oldest first."""
    rows = _BY_IDS.rows(tx, ids=ids)
    return [
        InboxCall(
            row.id,
            row.provider,
            WebhookCall(row.method, row.headers, row.query, bytes(row.body)),
            row.received_at,
        )
        for row in rows
    ]


def remove(tx: Connection, ids: Sequence[int]) -> set[int]:
    """Remove calls that are processed in this transaction; returns those that were still there."""
    removed = {int(row.id) for row in _REMOVE.rows(tx, ids=ids)}
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

"""Table of deletions: the messages and conversations that were deleted in apps, without content.

By it other apps learn what to remove, the operator sees who has deleted, and a message that a
carrier, an app or another system offers again is known and not stored a second time. Rows are kept
for 90 days.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from services.store import counters
from services.store.database import clock
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import deletions

KEEP_SECONDS = 90 * 86_400.0
BATCH = 1000  # rows that one call of ``prune`` deletes
LOOKED_AT = 20_000  # rows that ``newest`` groups


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deleted message or, without ``message_id``, a conversation; ``at`` is since 1970."""

    changed: int
    number: str
    conversation_id: str
    message_id: str | None


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """What one call of an app has deleted: a conversation, or else single messages."""

    at: float
    deleted_by: str
    device_id: str
    number: str
    messages: int
    is_conversation: bool


@dataclass(frozen=True, slots=True)
class Deleter:
    """Who deletes, in one call of an app: an extension by a device. ``request`` is of the call."""

    request: str
    extension: str
    device_id: str


Offer = tuple[str, str | None, str, str | None]
"""An inbound message as carriers repeat it: carrier, its id there, our number, repeat key."""

_OFFERED = CompiledStatement(
    lambda _: select(
        deletions.c.provider, deletions.c.provider_id, deletions.c.number, deletions.c.repeat_key
    ).where(deletions.c.provider_id.in_(bindparam("ids", expanding=True)))
)
_OF_MESSAGES = CompiledStatement(
    lambda _: select(deletions.c.message_id).where(
        deletions.c.message_id.in_(bindparam("ids", expanding=True))
    )
)
_BY_CLIENT_ID = CompiledStatement(
    lambda _: (
        select(deletions.c.changed)
        .where(
            deletions.c.extension == bindparam("extension"),
            deletions.c.client_id == bindparam("client_id"),
        )
        .limit(1)
    )
)


def add_messages(
    tx: Connection, deleter: Deleter, changed: Iterable[int], rows: Sequence[Any]
) -> None:
    """Note that messages were deleted: ``rows`` of their table, each with its ``changed``."""
    at = clock.now(tx)
    values = [
        _who(deleter, at)
        | {
            "changed": number,
            "number": row.number,
            "conversation_id": row.conversation_id,
            "message_id": row.id,
            "provider": row.provider,
            "provider_id": row.provider_id if row.direction == "in" else None,
            "repeat_key": row.repeat_key,
            "extension": row.extension,
            "client_id": row.client_id,
        }
        for number, row in zip(changed, rows, strict=True)
    ]
    if values:
        tx.execute(deletions.insert(), values)


def add_conversation(
    tx: Connection, deleter: Deleter, changed: int, number: str, conversation_id: str
) -> None:
    """Note that a conversation of a number of ours was deleted."""
    values = {"changed": changed, "number": number, "conversation_id": conversation_id}
    tx.execute(deletions.insert().values(_who(deleter, clock.now(tx)) | values))


def _who(deleter: Deleter, at: float) -> dict[str, Any]:
    who = {"request": deleter.request, "at": at}
    return who | {"deleted_by": deleter.extension, "device_id": deleter.device_id}


def offered_again(tx: Connection, offers: Iterable[Offer]) -> set[Offer]:
    """Those of some inbound messages that were deleted before."""
    wanted = {offer for offer in offers if offer[1] is not None}
    if not wanted:
        return set()
    rows = _OFFERED.rows(tx, ids=[provider_id for _, provider_id, _, _ in wanted])
    return wanted & {tuple(row) for row in rows}


def of_messages(tx: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these ids that deleted messages had."""
    return {str(row.message_id) for row in _OF_MESSAGES.rows(tx, ids=ids)} if ids else set()


def has_client_id(tx: Connection, extension: str, client_id: str) -> bool:
    """Whether an extension's message with a ``client_id`` was deleted."""
    return _BY_CLIENT_ID.row(tx, extension=extension, client_id=client_id) is not None


def changed_since(
    tx: Connection, numbers: Iterable[str], changed: int, limit: int
) -> list[Deletion]:
    """What was deleted of these numbers after a number of the sequence, in order."""
    statement = (
        select(deletions)
        .where(deletions.c.number.in_(list(numbers)), deletions.c.changed > changed)
        .order_by(deletions.c.changed)
        .limit(limit)
    )
    return [
        Deletion(int(row.changed), row.number, row.conversation_id, row.message_id)
        for row in tx.execute(statement)
    ]


def newest(tx: Connection, limit: int) -> list[DeletionRequest]:
    """The last calls of apps that have deleted something, the newest first.

    Only the last rows of the table are looked at: of a very long call the earlier ones may be left
    out of its number of messages.
    """
    recent = select(deletions).order_by(deletions.c.changed.desc()).limit(LOOKED_AT).subquery()
    last = func.max(recent.c.changed)
    of_messages = func.count(recent.c.message_id)
    statement = (
        select(
            func.min(recent.c.at),
            recent.c.deleted_by,
            recent.c.device_id,
            recent.c.number,
            of_messages,
            func.count() - of_messages,
        )
        .group_by(
            recent.c.request,
            recent.c.deleted_by,
            recent.c.device_id,
            recent.c.number,
        )
        .order_by(last.desc())
        .limit(limit)
    )
    return [
        DeletionRequest(float(row[0]), row[1], row[2], row[3], int(row[4]), row[5] > 0)
        for row in tx.execute(statement)
    ]


def prune(tx: Connection) -> int:
    """Delete old rows, at most a thousand; returns how many.

    Apps that have not seen what these tell load everything again.
    """
    oldest = select(deletions.c.changed, deletions.c.at).order_by(deletions.c.changed)
    before = clock.now(tx) - KEEP_SECONDS
    old = [int(row.changed) for row in tx.execute(oldest.limit(BATCH)) if row.at < before]
    if old:
        reset = counters.value(tx, counters.RESET) or 0
        counters.put(tx, counters.RESET, max(reset, old[-1]))
        tx.execute(delete(deletions).where(deletions.c.changed <= old[-1]))
    return len(old)

"""What is kept of one person outside: found for a request to see it, or to have it deleted.

Of a group conversation the messages that the person wrote are theirs; what others wrote, and what
was sent to the whole group, belongs to the others as well.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, Select, String, and_, delete, func, literal, or_, select, update

from services.store.database import audit_counters
from services.store.database.schema import (
    allowances,
    contacts,
    conversations,
    destinations,
    messages,
    quarantine,
    receipts,
    sightings,
)
from services.store.maintenance.removal import BATCH, awaits_work

_BETWEEN_DIGITS = re.compile(rb"[\s().\-]")


def messages_of(tx: Connection, peer: str, after: int = 0, limit: int = BATCH) -> list[int]:
    """The numbers (``seq``) of a person's next messages: all of theirs alone, theirs in groups."""
    alone = select(conversations.c.id).where(conversations.c.members == peer)
    written = and_(messages.c.direction == "in", messages.c.peer == peer)
    in_groups = and_(written, messages.c.conversation_id.in_(_groups(peer)))
    statement = (
        select(messages.c.seq)
        .where(messages.c.seq > after, or_(messages.c.conversation_id.in_(alone), in_groups))
        .order_by(messages.c.seq)
        .limit(limit)
    )
    return [int(seq) for (seq,) in tx.execute(statement)]


def groups(tx: Connection, peer: str) -> int:
    """How many group conversations a person is a member of."""
    statement = select(func.count()).select_from(_groups(peer).subquery())
    return int(tx.execute(statement).scalar_one())


def in_hand(tx: Connection, seqs: Sequence[int]) -> int:
    """For how many of these messages something is still to be done."""
    statement = select(func.count()).where(messages.c.seq.in_(seqs), awaits_work())
    return int(tx.execute(statement.select_from(messages)).scalar_one())


def quarantined(tx: Connection, peer: str) -> list[int]:
    """The ids of webhooks in quarantine that name a person's number, however it is written."""
    rows = tx.execute(select(quarantine.c.id, quarantine.c.query, quarantine.c.body))
    return [int(row.id) for row in rows if _names(row.query.encode() + b"\n" + row.body, peer)]


def forget_rest(tx: Connection, peer: str, quarantine_ids: Sequence[int]) -> None:
    """Remove what is kept of a person beside messages, such as the name and the receipts."""
    tx.execute(delete(contacts).where(contacts.c.number == peer))
    tx.execute(delete(receipts).where(receipts.c.peer == peer))
    used = allowances.c.name.contains(f":{peer}/", autoescape=True)
    tx.execute(delete(allowances).where(used))
    removed = tx.execute(delete(quarantine).where(quarantine.c.id.in_(quarantine_ids)))
    audit_counters.removed(tx, quarantined=removed.rowcount)
    for said in (destinations.c.reason, sightings.c.words):
        tx.execute(
            update(said.table)
            .where(said.contains(peer, autoescape=True))
            .values({said.name: func.replace(said, peer, "…")})
        )


def _groups(peer: str) -> Select[tuple[str]]:
    spaced = literal(" ", String) + conversations.c.members + " "
    named = spaced.contains(f" {peer} ", autoescape=True)
    return select(conversations.c.id).where(conversations.c.members != peer, named)


def _names(content: bytes, peer: str) -> bool:
    """Whether a call names somebody: a number without its country code counts, too."""
    if not peer.startswith("+"):
        return re.search(rb"(?<!\w)" + re.escape(peer.encode()) + rb"(?!\w)", content) is not None
    digits = peer.removeprefix("+1") if peer.startswith("+1") else peer[1:]
    return digits.encode() in _BETWEEN_DIGITS.sub(b"", content)

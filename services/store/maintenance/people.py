"""Personal data of one peer: finds and deletes all that is stored about a phone number.

It serves requests for access and for deletion. Of a group conversation only the messages that the
peer wrote count as theirs; the other members have an interest in the rest too.
"""

import re
from collections.abc import Sequence

from sqlalchemy import (
    Connection,
    Select,
    String,
    Table,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from services.core.phone_numbers import addresses_of
from services.store import blocked_senders, bulk_sends, opt_outs
from services.store.conversations import member_key
from services.store.database import audit_counters
from services.store.database.schema import (
    allowances,
    automatic_answers,
    contacts,
    conversations,
    destinations,
    inbox,
    messages,
    quarantine,
    receipts,
    sightings,
)
from services.store.maintenance.removal import BATCH, has_open_jobs

_BETWEEN_DIGITS = re.compile(rb"[\s().\-]")


def messages_of(tx: Connection, peer: str, after: int = 0, limit: int = BATCH) -> list[int]:
    """The ``seq`` of a peer's next messages after one, ascending.

    They are all messages of conversations with the peer alone, also by WhatsApp and RCS, and those
    from the peer in groups.
    """
    addresses = addresses_of(peer)
    members = [member_key(address) for address in addresses]
    alone = select(conversations.c.id).where(conversations.c.members.in_(members))
    written = and_(messages.c.direction == "in", messages.c.peer.in_(addresses))
    in_groups = and_(written, messages.c.conversation_id.in_(_groups(peer)))
    statement = (
        select(messages.c.seq)
        .where(messages.c.seq > after, or_(messages.c.conversation_id.in_(alone), in_groups))
        .order_by(messages.c.seq)
        .limit(limit)
    )
    return [int(seq) for (seq,) in tx.execute(statement)]


def groups(tx: Connection, peer: str) -> list[str]:
    """The ids of the group conversations in which a peer is."""
    return [str(conversation_id) for (conversation_id,) in tx.execute(_groups(peer))]


def sent_to_groups(tx: Connection, peer: str) -> list[int]:
    """The ``seq`` of the messages that were sent, or are scheduled, to groups with a peer."""
    ours = and_(messages.c.direction == "out", messages.c.conversation_id.in_(_groups(peer)))
    return [int(seq) for (seq,) in tx.execute(select(messages.c.seq).where(ours).order_by("seq"))]


def count_unfinished(tx: Connection, seqs: Sequence[int]) -> int:
    """How many of these messages have open jobs; what is scheduled is cancelled and deleted."""
    statement = select(func.count()).where(messages.c.seq.in_(seqs), has_open_jobs())
    return int(tx.execute(statement.select_from(messages)).scalar_one())


def quarantined(tx: Connection, peer: str) -> list[int]:
    """The ids of quarantined calls that contain a peer's number, in whatever notation."""
    return _calls(tx, quarantine, peer)


def in_inbox(tx: Connection, peer: str) -> list[int]:
    """The ids of calls in the inbox that contain a peer's number, in whatever notation."""
    return _calls(tx, inbox, peer)


def _calls(tx: Connection, table: Table, peer: str) -> list[int]:
    rows = tx.execute(select(table.c.id, table.c.query, table.c.body))
    return [int(row.id) for row in rows if _contains(row.query.encode() + b"\n" + row.body, peer)]


def forget_rest(tx: Connection, peer: str, quarantine_ids: Sequence[int]) -> int:
    """Delete what is stored about a peer beside messages: contact, receipts, quotas and so on.

    That the peer has opted out stays, without the number, see ``opt_outs.forget``; returns how many
    such opt-outs there are.
    """
    for address in addresses_of(peer):
        tx.execute(delete(contacts).where(contacts.c.number == address))
        tx.execute(delete(receipts).where(receipts.c.peer == address))
        tx.execute(delete(automatic_answers).where(automatic_answers.c.peer == address))
        bulk_sends.forget(tx, address)
        used = allowances.c.name.contains(f":{address}/", autoescape=True)
        tx.execute(delete(allowances).where(used))
    removed = tx.execute(delete(quarantine).where(quarantine.c.id.in_(quarantine_ids)))
    audit_counters.removed(tx, quarantined=removed.rowcount)
    for column in (destinations.c.reason, sightings.c.words):
        tx.execute(
            update(column.table)
            .where(column.contains(peer, autoescape=True))
            .values({column.name: func.replace(column, peer, "…")})
        )
    blocked_senders.forget(tx, peer)
    return opt_outs.forget(tx, peer)


def _groups(peer: str) -> Select[tuple[str]]:
    spaced = literal(" ", String) + conversations.c.members + " "
    member = member_key(peer)
    named = spaced.contains(f" {member} ", autoescape=True)
    return select(conversations.c.id).where(conversations.c.members != member, named)


def _contains(content: bytes, peer: str) -> bool:
    """Whether a call contains a peer's address, for +1 also without its country code."""
    if not peer.startswith("+"):
        return re.search(rb"(?<!\w)" + re.escape(peer.encode()) + rb"(?!\w)", content) is not None
    digits = peer.removeprefix("+1") if peer.startswith("+1") else peer[1:]
    return digits.encode() in _BETWEEN_DIGITS.sub(b"", content)

"""Table of opt-outs: who wants no more texts from which number of ours, and how we know.

Every change locks the sequence of the installation first, as the start of a send does. So an
opt-out and a send are always one after the other, on PostgreSQL too.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from services.core.phone_numbers import EVERY
from services.store import counters
from services.store.conversations import member_key
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import (
    NOT_LIFTED,
    conversations,
    opt_out_flags,
    opt_outs,
    secret_keys,
)
from services.store.database.upsert import insert, insert_new

HASHED = "hmac:"  # begins the peer of a person who was forgotten
KEY = "opt-outs"


class Source(StrEnum):
    """How an opt-out became known."""

    KEYWORD = "keyword"
    CARRIER = "carrier"
    PERSON = "person"  # a user of the app
    OPERATOR = "operator"
    IMPORT = "import"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class OptOut:
    """One opt-out with its proof.

    ``number`` is ours or ``EVERY``; ``detail`` is the keyword, the carrier's code, or who recorded
    it and why; ``message_id`` is the text in which it was said, or the one that the carrier
    refused. Times are seconds since 1970. While ``lifted_at`` is ``None`` it is in force.
    """

    number: str
    peer: str
    at: float
    source: Source
    detail: str = ""
    provider: str = ""
    message_id: str | None = None
    lifted_at: float | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None
    id: int = 0

    @property
    def is_forgotten(self) -> bool:
        """Whether its person's data was deleted, so that only an HMAC of the number is left."""
        return self.peer.startswith(HASHED)


_ADD = CompiledStatement(lambda tx: insert_new(tx, opt_outs, opt_outs.c.id))
_OPEN = CompiledStatement(
    lambda _: select(opt_outs).where(
        NOT_LIFTED,
        opt_outs.c.peer == bindparam("peer_is"),
        opt_outs.c.number.in_([bindparam("number_is"), EVERY]),
    )
)
_KEY = CompiledStatement(lambda _: select(secret_keys.c.value).where(secret_keys.c.name == KEY))


def record(tx: Connection, new: OptOut) -> bool:
    """Record an opt-out; false if the person has opted out of that number already."""
    counters.hold_sequence(tx)
    if active(tx, new.number, [new.peer]):
        return False
    row = _ADD.row(
        tx,
        number=new.number,
        peer=new.peer,
        at=new.at,
        source=str(new.source),
        detail=new.detail,
        provider=new.provider,
        message_id=new.message_id,
        lifted_at=new.lifted_at,
        lifted_by=new.lifted_by,
        lift_reason=new.lift_reason,
    )
    return row is not None


def active(tx: Connection, number: str, peers: Iterable[str]) -> dict[str, OptOut]:
    """Those of these peers who have opted out of a number of ours, each with the opt-out.

    With ``EVERY`` as the number: out of all numbers.
    """
    key = _key(tx)
    found = {}
    for peer in peers:
        row = _OPEN.row(tx, peer_is=peer, number_is=number)
        if row is None and key is not None:
            row = _OPEN.row(tx, peer_is=_hashed(key, peer), number_is=number)
        if row is not None:
            found[peer] = _opt_out(row)
    return found


def lift(tx: Connection, number: str, peer: str, *, at: float, by: str, reason: str) -> int:
    """Lift the opt-outs of a person from a number of ours, those from all numbers included.

    With ``EVERY`` as the number: from all numbers only. Returns how many there were.
    """
    counters.hold_sequence(tx)
    names = _names(tx, peer)
    this = and_(
        NOT_LIFTED, opt_outs.c.peer.in_(names), opt_outs.c.number.in_(sorted({number, EVERY}))
    )
    values = {"lifted_at": at, "lifted_by": by, "lift_reason": reason}
    return tx.execute(update(opt_outs).where(this).values(values)).rowcount


def lift_one(tx: Connection, row_id: int, *, at: float, by: str, reason: str) -> bool:
    """Lift one opt-out; false if it is not in force."""
    counters.hold_sequence(tx)
    values = {"lifted_at": at, "lifted_by": by, "lift_reason": reason}
    statement = update(opt_outs).where(NOT_LIFTED, opt_outs.c.id == row_id).values(values)
    return bool(tx.execute(statement).rowcount)


def is_recorded(tx: Connection, peer: str, message_id: str) -> bool:
    """Whether a message has led to an opt-out of a person already, also to one that was lifted."""
    statement = select(opt_outs.c.id).where(
        opt_outs.c.peer == peer, opt_outs.c.message_id == message_id
    )
    return tx.execute(statement.limit(1)).first() is not None


def by_id(tx: Connection, row_id: int) -> OptOut | None:
    """One opt-out."""
    row = tx.execute(select(opt_outs).where(opt_outs.c.id == row_id)).one_or_none()
    return _opt_out(row) if row is not None else None


def of(tx: Connection, peer: str) -> list[OptOut]:
    """All opt-outs of a person, lifted ones too, oldest first."""
    statement = select(opt_outs).where(opt_outs.c.peer.in_(_names(tx, peer)))
    return [_opt_out(row) for row in tx.execute(statement.order_by(opt_outs.c.id))]


def page(
    tx: Connection,
    *,
    limit: int,
    before: int | None = None,
    peer: str | None = None,
    with_lifted: bool = False,
) -> list[OptOut]:
    """Opt-outs, newest first, with an id below ``before``."""
    statement = select(opt_outs).order_by(opt_outs.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(opt_outs.c.id < before)
    if peer is not None:
        statement = statement.where(opt_outs.c.peer.in_(_names(tx, peer)))
    if not with_lifted:
        statement = statement.where(NOT_LIFTED)
    return [_opt_out(row) for row in tx.execute(statement)]


def count(tx: Connection) -> int:
    """How many opt-outs are in force."""
    statement = select(func.count()).select_from(opt_outs).where(NOT_LIFTED)
    return int(tx.execute(statement).scalar_one())


def conversations_with(tx: Connection, number: str, peer: str) -> list[str]:
    """The ids of all conversations with a person from a number of ours, groups included."""
    member = member_key(peer)
    alone = conversations.c.members == member
    spaced = " " + conversations.c.members + " "
    in_group = and_(
        conversations.c.members != conversations.c.peer,
        spaced.contains(f" {member} ", autoescape=True),
    )
    statement = select(conversations.c.id).where(or_(alone, in_group))
    if number != EVERY:
        statement = statement.where(conversations.c.number == number)
    return [str(conversation_id) for (conversation_id,) in tx.execute(statement)]


def flag(tx: Connection, conversation_id: str, message_id: str, at: float) -> None:
    """Mark a conversation: a person should look whether the peer wants no more texts."""
    statement = insert(tx, opt_out_flags).values(
        conversation_id=conversation_id, message_id=message_id, at=at
    )
    values = {"message_id": message_id, "at": at}
    tx.execute(statement.on_conflict_do_update(index_elements=["conversation_id"], set_=values))


def unflag(tx: Connection, conversation_ids: Sequence[str]) -> None:
    """Remove the mark of conversations: a person has looked, or the peer has opted out."""
    these = opt_out_flags.c.conversation_id.in_(conversation_ids)
    tx.execute(delete(opt_out_flags).where(these))


def flagged(tx: Connection, conversation_ids: Sequence[str]) -> dict[str, str]:
    """Those of these conversations that are marked, and the message that says so."""
    statement = select(opt_out_flags.c.conversation_id, opt_out_flags.c.message_id)
    these = opt_out_flags.c.conversation_id.in_(conversation_ids)
    return {str(row[0]): str(row[1]) for row in tx.execute(statement.where(these))}


def forget(tx: Connection, peer: str) -> int:
    """Replace a person's number in opt-outs in force by its HMAC, and delete lifted ones.

    Number of ours, date and source stay. Returns how many opt-outs are still in force.
    """
    counters.hold_sequence(tx)
    tx.execute(delete(opt_outs).where(opt_outs.c.peer == peer, opt_outs.c.lifted_at.is_not(None)))
    rows = tx.execute(select(opt_outs.c.id, opt_outs.c.number).where(opt_outs.c.peer == peer)).all()
    if rows:
        hashed = _hashed(_new_key(tx), peer)
        known = opt_outs.c.peer == hashed
        there = set(tx.execute(select(opt_outs.c.number).where(NOT_LIFTED, known)).scalars())
        for row in rows:
            this = opt_outs.c.id == row.id
            if row.number in there:
                tx.execute(delete(opt_outs).where(this))
            else:
                values = {"peer": hashed, "message_id": None}
                tx.execute(update(opt_outs).where(this).values(values))
    kept = and_(NOT_LIFTED, opt_outs.c.peer.in_(_names(tx, peer)))
    return int(tx.execute(select(func.count()).select_from(opt_outs).where(kept)).scalar_one())


def _names(tx: Connection, peer: str) -> list[str]:
    """A person as rows name them: by the number, and by its HMAC if anybody was forgotten."""
    key = _key(tx)
    return [peer] if key is None else [peer, _hashed(key, peer)]


def _key(tx: Connection) -> bytes | None:
    row = _KEY.row(tx)
    return bytes.fromhex(row.value) if row is not None else None


def _new_key(tx: Connection) -> bytes:
    """The key of the HMACs; made at its first use."""
    known = _key(tx)
    if known is None:
        known = secrets.token_bytes(32)
        tx.execute(insert_new(tx, secret_keys), {"name": KEY, "value": known.hex()})
    return known


def _hashed(key: bytes, peer: str) -> str:
    return HASHED + hmac.new(key, peer.encode(), hashlib.sha256).hexdigest()


def _opt_out(row: Row[Any] | Any) -> OptOut:
    return OptOut(
        number=row.number,
        peer=row.peer,
        at=row.at,
        source=Source(row.source),
        detail=row.detail,
        provider=row.provider,
        message_id=row.message_id,
        lifted_at=row.lifted_at,
        lifted_by=row.lifted_by,
        lift_reason=row.lift_reason,
        id=row.id,
    )

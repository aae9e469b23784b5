"""Message filter for the operator: messages that fulfil all given conditions, newest first.

A query scans the messages along one or more indexes that have them in the order of ``seq``, and
leaves out those that do not match. One scan reads at most ``SCAN_LIMIT`` messages and returns where
to continue. So finding rare messages may take several calls, but each of them is short.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, func, or_, select, true

from services.core.messages import Direction, Message, Status, first_uuid7
from services.store import messages as stored
from services.store import unrouted
from services.store.conversations import member_key
from services.store.database.schema import GROUPS, TROUBLED, UNROUTED, conversations, messages
from services.store.search import full_text

SCAN_LIMIT = 20_000  # messages that one scan along an index reads
SCAN_RANGE = 100_000  # range of ``seq`` that one scan without an index reads
MAX_SCANS = 20  # with more indexes, one scan without an index
HITS, SEARCHES = 200, 5  # full-text search: hits of one search, and number of searches
SKEW_SECONDS = 60.0  # by which the clocks of several nodes may differ


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Conditions on messages; all that are given must be fulfilled.

    ``number`` is ours, ``peer`` theirs (also in a group), ``either`` is one of both. ``extension``
    is the one that sent the message, or that receives it because our number is one of
    ``extension_numbers``. ``since`` (inclusive) and ``until`` (exclusive) are seconds since 1970.
    """

    number: str | None = None
    peer: str | None = None
    either: str | None = None
    text: str | None = None
    extension: str | None = None
    extension_numbers: tuple[str, ...] = ()
    status: Status | None = None
    unrouted: bool = False
    direction: Direction | None = None
    carrier: str | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Messages, newest first, and the ``before`` to continue with (``None``: the end).

    ``searched_to`` is the time of the last message that was read, if the scan ended before it had
    found as many messages as the limit.
    """

    messages: list[Message]
    before: int | None = None
    searched_to: float | None = None


@dataclass(frozen=True, slots=True)
class _Scan:
    """The result of a scan: the matches, and the ``seq`` down to which it has read."""

    seqs: list[int]
    reached: int


def page(tx: Connection, wanted: MessageFilter, limit: int, before: int | None = None) -> Found:
    """The newest matching messages, or those with ``seq`` below ``before``; at most ``limit``."""
    top, bottom = _bounds(tx, wanted, before)
    if wanted.text is not None:
        scan = _search(tx, wanted, limit, top, bottom)
    else:
        indexed, rest = _split_conditions(tx, wanted)
        scans = [_scan(tx, condition, rest, limit, top, bottom) for condition in indexed]
        reached = max((scan.reached for scan in scans), default=bottom)
        found = {seq for scan in scans for seq in scan.seqs if seq >= reached}
        scan = _Scan(nlargest(limit + 1, found), reached)
    seqs = scan.seqs[:limit]
    loaded = stored.by_seq(tx, seqs)
    listed = [loaded[seq] for seq in seqs]
    if len(scan.seqs) > limit:
        return Found(listed, seqs[-1])
    if scan.reached > bottom:
        return Found(listed, scan.reached, _time_of(tx, scan.reached))
    return Found(listed)


def conversations_with(tx: Connection, peer: str) -> list[str]:
    """The ids of all conversations with a peer, also in groups."""
    table = conversations.c
    alone = select(table.id).where(table.peer == peer)
    groups = select(table.id, table.participants).where(
        GROUPS, table.members.contains(member_key(peer), autoescape=True)
    )
    found = dict.fromkeys(str(row.id) for row in tx.execute(alone))
    for row in tx.execute(groups):
        if peer in row.participants:
            found[str(row.id)] = None
    return list(found)


def _bounds(tx: Connection, wanted: MessageFilter, before: int | None) -> tuple[int, int]:
    """The range of ``seq`` for the times: below the first number, from the second one on."""
    top, bottom = stored.latest_seq(tx) + 1, 1
    if before is not None:
        top = min(top, before)
    if wanted.until is not None:
        top = min(top, _seq_at(tx, wanted.until + SKEW_SECONDS, top))
    if wanted.since is not None:
        bottom = _seq_at(tx, wanted.since - SKEW_SECONDS, top)
    return top, bottom


def _seq_at(tx: Connection, at: float, default: int) -> int:
    """The ``seq`` of the first message since a time: ids (UUIDv7) begin with the time.

    One that was scheduled has its ``seq`` of a later time.
    """
    since = messages.c.id >= first_uuid7(at)
    first = select(messages.c.seq).where(since, messages.c.send_at.is_(None))
    found = tx.execute(first.order_by(messages.c.id).limit(1)).scalar()
    return default if found is None else int(found)


def _time_of(tx: Connection, seq: int) -> float | None:
    """The time of the message with a ``seq``, or of the next one."""
    statement = select(messages.c.created_at).where(messages.c.seq >= seq)
    return tx.execute(statement.order_by(messages.c.seq).limit(1)).scalar()


def _split_conditions(
    tx: Connection, wanted: MessageFilter
) -> tuple[Sequence[ColumnElement[bool] | None], list[ColumnElement[bool]]]:
    """The conditions that have an index, and the remaining ones that are tested for each message.

    Each match fulfils at least one of the first and all of the second. ``None`` instead of a
    condition means a scan without an index.
    """
    rest = _conditions(wanted)
    number = messages.c.number
    if wanted.peer is not None or wanted.either is not None:
        return _split_by_peer(tx, wanted, rest)
    if wanted.status in (Status.FAILED, Status.UNKNOWN):
        return [and_(TROUBLED, messages.c.status == str(wanted.status))], rest
    if wanted.unrouted:
        numbers = unrouted.numbers(tx) if wanted.number is None else [wanted.number]
        if len(numbers) <= MAX_SCANS:
            return [and_(UNROUTED, number == one) for one in numbers], rest
    return [None if wanted.number is None else number == wanted.number], rest


def _split_by_peer(
    tx: Connection, wanted: MessageFilter, rest: list[ColumnElement[bool]]
) -> tuple[Sequence[ColumnElement[bool] | None], list[ColumnElement[bool]]]:
    """As ``_split_conditions``, with the conversations of a peer as the indexed conditions."""
    ids = conversations_with(tx, wanted.peer or wanted.either or "")
    if len(ids) > MAX_SCANS:
        return [None], [*rest, *_people(tx, wanted)]
    indexed = [messages.c.conversation_id == one for one in ids]
    if wanted.peer is None:
        return [*indexed, messages.c.number == wanted.either], rest
    return indexed, [*rest, *_people(tx, replace(wanted, peer=None))]


def _conditions(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    """The conditions, except those on people (``_people``)."""
    table = messages.c
    conditions: list[ColumnElement[bool]] = [
        _plain(column) == str(value)
        for column, value in (
            (table.number, wanted.number),
            (table.status, wanted.status),
            (table.direction, wanted.direction),
            (table.provider, wanted.carrier),
        )
        if value is not None
    ]
    if wanted.extension is not None:
        sent = and_(table.direction == "out", _plain(table.extension) == wanted.extension)
        numbers = _plain(table.number).in_(wanted.extension_numbers)
        conditions.append(or_(sent, and_(table.direction == "in", numbers)))
    if wanted.unrouted:
        conditions.append(and_(UNROUTED))
    if wanted.since is not None:
        conditions.append(table.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.created_at < wanted.until)
    return conditions


def _people(tx: Connection, wanted: MessageFilter) -> Iterator[ColumnElement[bool]]:
    """The conditions on people, where their indexes are not used."""
    theirs = _plain(messages.c.conversation_id)
    if wanted.peer is not None:
        yield theirs.in_(conversations_with(tx, wanted.peer))
    if wanted.either is not None:
        with_them = theirs.in_(conversations_with(tx, wanted.either))
        yield or_(_plain(messages.c.number) == wanted.either, with_them)


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    """A column without its index, so that the database keeps to the index of the scan."""
    return func.coalesce(column, "")


def _scan(
    tx: Connection,
    indexed: ColumnElement[bool] | None,
    rest: Sequence[ColumnElement[bool]],
    limit: int,
    top: int,
    bottom: int,
) -> _Scan:
    """The matches along one index, or without one (``None``)."""
    seq = messages.c.seq
    newest = (
        select(seq).where(true() if indexed is None else indexed, seq < top).order_by(seq.desc())
    )
    floor = bottom
    if indexed is None and rest:
        floor = max(bottom, top - SCAN_RANGE)
    elif rest:
        last = tx.execute(newest.where(seq >= bottom).limit(1).offset(SCAN_LIMIT)).scalar()
        floor = bottom if last is None else int(last)
    matching = newest.where(seq >= floor, *rest).limit(limit + 1)
    seqs = [int(found) for (found,) in tx.execute(matching)]
    return _Scan(seqs, seqs[-1] if len(seqs) > limit else floor)


def _search(tx: Connection, wanted: MessageFilter, limit: int, top: int, bottom: int) -> _Scan:
    """The matches that have the words. The full-text index can only filter by our number."""
    rest = [*_conditions(wanted), *_people(tx, wanted)]
    numbers = None if wanted.number is None else [wanted.number]
    seqs: list[int] = []
    for _ in range(SEARCHES):
        hits = full_text.find(tx, wanted.text or "", numbers, limit=HITS, before=top)
        seqs_found = [hit.seq for hit in hits.messages if hit.seq >= bottom]
        matching = select(messages.c.seq).where(messages.c.seq.in_(seqs_found), *rest)
        seqs += [int(found) for (found,) in tx.execute(matching.order_by(messages.c.seq.desc()))]
        if hits.before is None or hits.before <= bottom:
            return _Scan(seqs, bottom)
        top = hits.before
        if len(seqs) > limit:
            break
    return _Scan(seqs, top)

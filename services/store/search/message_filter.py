"""Messages for the operator: by whatever is asked for, the newest first, a bounded look at a time.

A look goes along roads, each an index that has messages in the order of their ``seq``, and leaves
out what does not fit. A road without end is left after ``LOOK`` messages, with the place where to
go on: what is rare is found by several looks, and none of them is long.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, func, or_, select, true

from services.core.messages import Direction, Message, Status, first_uuid7
from services.store import messages as kept
from services.store import unrouted
from services.store.database.schema import GROUPS, TROUBLED, UNROUTED, conversations, messages
from services.store.search import full_text

LOOK = 20_000  # messages of an index that are looked at for those that fit
SPAN = 100_000  # numbers (``seq``) of which all messages are looked at, where no index leads
MOST_ROADS = 20
HITS, SEARCHES = 200, 5  # of words that are sought: what one search gives, and how many there are
SKEW_SECONDS = 60.0  # by which the clocks of several nodes may differ


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: whatever is given must fit.

    ``number`` is ours, ``peer`` theirs (of a group, too), ``either`` one of both. An ``extension``
    has sent the message, or gets it: then its number is among ``extension_numbers``. Times are
    seconds since 1970: from ``since`` on, before ``until``.
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
    """Messages, the newest first, and the ``before`` to go on with (``None``: that was all).

    ``searched_to`` is the time of the last message looked at, where a look ended before it had
    found as many as were asked for.
    """

    messages: list[Message]
    before: int | None = None
    searched_to: float | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found along a road, and the ``seq`` down to which that is everything."""

    seqs: list[int]
    reached: int


def page(tx: Connection, wanted: MessageFilter, limit: int, before: int | None = None) -> Found:
    """The newest messages that are wanted, or those from before a ``seq``; at most ``limit``."""
    top, bottom = _bounds(tx, wanted, before)
    if wanted.text is not None:
        look = _search(tx, wanted, limit, top, bottom)
    else:
        roads, rest = _roads(tx, wanted)
        looks = [_walk(tx, road, rest, limit, top, bottom) for road in roads]
        reached = max((look.reached for look in looks), default=bottom)
        found = {seq for look in looks for seq in look.seqs if seq >= reached}
        look = _Look(nlargest(limit + 1, found), reached)
    seqs = look.seqs[:limit]
    loaded = kept.by_seq(tx, seqs)
    listed = [loaded[seq] for seq in seqs]
    if len(look.seqs) > limit:
        return Found(listed, seqs[-1])
    if look.reached > bottom:
        return Found(listed, look.reached, _time_of(tx, look.reached))
    return Found(listed)


def conversations_with(tx: Connection, peer: str) -> list[str]:
    """The ids of all conversations with somebody, in groups, too."""
    table = conversations.c
    alone = select(table.id).where(table.peer == peer)
    groups = select(table.id, table.participants).where(
        GROUPS, table.members.contains(peer, autoescape=True)
    )
    found = dict.fromkeys(str(row.id) for row in tx.execute(alone))
    for row in tx.execute(groups):
        if peer in row.participants:
            found[str(row.id)] = None
    return list(found)


def _bounds(tx: Connection, wanted: MessageFilter, before: int | None) -> tuple[int, int]:
    """The numbers between which messages of the time asked for are: below, and from on."""
    top, bottom = kept.latest_seq(tx) + 1, 1
    if before is not None:
        top = min(top, before)
    if wanted.until is not None:
        top = min(top, _seq_at(tx, wanted.until + SKEW_SECONDS, top))
    if wanted.since is not None:
        bottom = _seq_at(tx, wanted.since - SKEW_SECONDS, top)
    return top, bottom


def _seq_at(tx: Connection, at: float, otherwise: int) -> int:
    """The number of the first message since a time: ids begin with the time."""
    first = select(messages.c.seq).where(messages.c.id >= first_uuid7(at))
    found = tx.execute(first.order_by(messages.c.id).limit(1)).scalar()
    return otherwise if found is None else int(found)


def _time_of(tx: Connection, seq: int) -> float | None:
    """The time of the message with a number, or of the next one."""
    statement = select(messages.c.created_at).where(messages.c.seq >= seq)
    return tx.execute(statement.order_by(messages.c.seq).limit(1)).scalar()


def _roads(
    tx: Connection, wanted: MessageFilter
) -> tuple[Sequence[ColumnElement[bool] | None], list[ColumnElement[bool]]]:
    """The roads on which all that is wanted lies, and what has to fit there.

    ``None`` is the road without an index of its own.
    """
    rest = _conditions(wanted)
    ours, theirs = messages.c.number, messages.c.conversation_id
    if wanted.peer is not None or wanted.either is not None:
        ids = conversations_with(tx, wanted.peer or wanted.either or "")
        if len(ids) > MOST_ROADS:
            return [None], [*rest, *_people(tx, wanted)]
        roads = [theirs == one for one in ids]
        if wanted.peer is None:
            return [*roads, ours == wanted.either], rest
        return roads, [*rest, *_people(tx, replace(wanted, peer=None))]
    if wanted.status in (Status.FAILED, Status.UNKNOWN):
        return [and_(TROUBLED, messages.c.status == str(wanted.status))], rest
    if wanted.unrouted:
        numbers = unrouted.numbers(tx) if wanted.number is None else [wanted.number]
        if len(numbers) <= MOST_ROADS:
            return [and_(UNROUTED, messages.c.number == number) for number in numbers], rest
    if wanted.number is not None:
        return [messages.c.number == wanted.number], rest
    return [None], rest


def _conditions(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    """What has to fit, but for people (``_people``)."""
    table = messages.c
    asked: list[ColumnElement[bool]] = [
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
        asked.append(or_(sent, and_(table.direction == "in", numbers)))
    if wanted.unrouted:
        asked.append(and_(UNROUTED))
    if wanted.since is not None:
        asked.append(table.created_at >= wanted.since)
    if wanted.until is not None:
        asked.append(table.created_at < wanted.until)
    return asked


def _people(tx: Connection, wanted: MessageFilter) -> Iterator[ColumnElement[bool]]:
    """What has to fit of people, where they are no road."""
    theirs = _plain(messages.c.conversation_id)
    if wanted.peer is not None:
        yield theirs.in_(conversations_with(tx, wanted.peer))
    if wanted.either is not None:
        with_them = theirs.in_(conversations_with(tx, wanted.either))
        yield or_(_plain(messages.c.number) == wanted.either, with_them)


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    """A column of which no index is used: the road is one already, and keeps the order."""
    return func.coalesce(column, "")


def _walk(
    tx: Connection,
    road: ColumnElement[bool] | None,
    rest: Sequence[ColumnElement[bool]],
    limit: int,
    top: int,
    bottom: int,
) -> _Look:
    """What fits along a road, and where the walk ended if it ended early."""
    seq = messages.c.seq
    newest = select(seq).where(true() if road is None else road, seq < top).order_by(seq.desc())
    floor = bottom
    if road is None and rest:
        floor = max(bottom, top - SPAN)
    elif rest:
        last = tx.execute(newest.where(seq >= bottom).limit(1).offset(LOOK)).scalar()
        floor = bottom if last is None else int(last)
    fitting = newest.where(seq >= floor, *rest).limit(limit + 1)
    seqs = [int(found) for (found,) in tx.execute(fitting)]
    return _Look(seqs, seqs[-1] if len(seqs) > limit else floor)


def _search(tx: Connection, wanted: MessageFilter, limit: int, top: int, bottom: int) -> _Look:
    """What has the words and fits. The index of words knows only the numbers that are ours."""
    rest = [*_conditions(wanted), *_people(tx, wanted)]
    numbers = None if wanted.number is None else [wanted.number]
    seqs: list[int] = []
    for _ in range(SEARCHES):
        hits = full_text.find(tx, wanted.text or "", numbers, limit=HITS, before=top)
        among = [hit.seq for hit in hits.messages if hit.seq >= bottom]
        fitting = select(messages.c.seq).where(messages.c.seq.in_(among), *rest)
        seqs += [int(found) for (found,) in tx.execute(fitting.order_by(messages.c.seq.desc()))]
        if hits.before is None or hits.before <= bottom:
            return _Look(seqs, bottom)
        top = hits.before
        if len(seqs) > limit:
            break
    return _Look(seqs, top)

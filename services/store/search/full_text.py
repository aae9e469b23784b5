"""Full-text search of messages, newest first.

Receiving a message does not wait for the index: the worker adds new messages to it (``index``), and
a search reads the few texts that are newer than the index itself.

Of a text only the first ``MOST_CHARACTERS`` are searched.

Neither database has an index that gives the newest hits of frequent words quickly. So one search
reads a limited part of the index, and if that has too few hits, it returns where to continue (see
``sqlite_index`` and ``postgres_index``). Rare words are found by one search, also in old messages.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, exists, func, select, text

from services.core.messages import Message
from services.store import counters, messages
from services.store.database.schema import messages as messages_table
from services.store.search import postgres_index, sqlite_index
from services.store.search.tokenizer import Query, parse_query, words_of

MARK = "indexed"  # the counter with the ``seq`` of the newest message in the index
BATCH = 500  # messages in one transaction: about 10 ms, for which other writers wait
BATCH_CHARACTERS = 200_000  # of their texts
MOST_CHARACTERS = 10_000  # of a text that are searched
FILL_BATCH = 5000

_ADD = {
    "sqlite": text("INSERT INTO search_index (rowid, words) VALUES (:seq, :words)"),
    # One statement, and not one for each row: psycopg would send these as a pipeline, in which
    # PostgreSQL waits without an end for a client that hangs, and keeps the locks.
    "postgresql": text(
        "INSERT INTO search_index (seq, number, words)"
        " SELECT seq, number, array_to_tsvector(string_to_array(words, ' '))"
        " FROM unnest(CAST(:seq AS bigint[]), CAST(:number AS text[]), CAST(:words AS text[]))"
        " AS entry (seq, number, words)"
    ),
}

_FORGET = {
    "sqlite": text("DELETE FROM search_index WHERE rowid = :seq"),
    "postgresql": text("DELETE FROM search_index WHERE seq = :seq"),
}

_SEARCHED = func.substr(messages_table.c.text, 1, MOST_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Found:
    """Messages, newest first, and the ``before`` to continue with (``None``: the end).

    There may be fewer messages than the limit, or none, although continuing finds older ones.
    """

    messages: list[Message]
    before: int | None


def find(
    tx: Connection,
    typed: str,
    numbers: Collection[str] | None,
    *,
    limit: int,
    before: int | None = None,
) -> Found:
    """Messages of these numbers (``None``: of all) with all the typed words, newest first.

    The last word may be the beginning of a word. Case and accents are ignored. A query without any
    word finds nothing.
    """
    query = parse_query(typed)
    if not query.prefix or (numbers is not None and not numbers):
        return Found([], None)
    # Read before both searches: what the worker indexes meanwhile is found by the first one only.
    mark = counters.value(tx, MARK) or 0
    seqs, floor = _not_indexed(tx, query, numbers, mark, limit + 1, before), 0
    if len(seqs) <= limit:
        below = mark + 1 if before is None else min(before, mark + 1)
        module = sqlite_index if tx.dialect.name == "sqlite" else postgres_index
        indexed, floor = module.search(tx, query, numbers, limit + 1 - len(seqs), below)
        seqs += indexed
    page = seqs[:limit]
    found = messages.by_seq(tx, page)
    own = None if numbers is None else frozenset(numbers)
    matching = [
        found[seq] for seq in page if seq in found and (own is None or found[seq].number in own)
    ]
    return Found(matching, page[-1] if len(seqs) > limit else floor or None)


def is_behind(tx: Connection) -> bool:
    """Whether there are messages that are not in the index yet."""
    mark = counters.value(tx, MARK) or 0
    return bool(tx.execute(select(exists().where(messages_table.c.seq > mark))).scalar())


def index(tx: Connection, limit: int = BATCH) -> int:
    """Add the next messages to the index, oldest first; returns how many."""
    mark = counters.locked_value(tx, MARK)
    statement = select(messages_table.c.seq, messages_table.c.number, _SEARCHED)
    statement = statement.where(messages_table.c.seq > mark).order_by(messages_table.c.seq)
    entries: list[dict[str, object]] = []
    size = 0
    reached = mark
    for seq, number, words in tx.execute(statement.limit(limit)).all():
        size += len(words)
        if entries and size > BATCH_CHARACTERS:
            break
        entries.append(_entry(seq, number, words))
        reached = seq
    if entries:
        _add(tx, entries)
        counters.put(tx, MARK, reached)
    return len(entries)


def _add(tx: Connection, entries: list[dict[str, object]]) -> None:
    if tx.dialect.name == "sqlite":
        tx.execute(_ADD["sqlite"], entries)
    else:
        columns = {name: [entry[name] for entry in entries] for name in entries[0]}
        tx.execute(_ADD["postgresql"], columns)


def forget(tx: Connection, seq: int) -> None:
    """Remove an entry whose message has another text or another ``seq`` from now on."""
    tx.execute(_FORGET[tx.dialect.name], {"seq": seq})


def fill(tx: Connection) -> None:
    """Add all messages to an empty index."""
    counters.put(tx, MARK, 0)
    while index(tx, FILL_BATCH):
        pass


def _entry(seq: int, number: str, body: str) -> dict[str, object]:
    """A row of the index. Our number is added to the words; no other word begins with a plus."""
    words = " ".join({number: None} | dict.fromkeys(words_of(body)))
    return {"seq": seq, "number": number, "words": words}


def _not_indexed(
    tx: Connection,
    query: Query,
    numbers: Collection[str] | None,
    mark: int,
    limit: int,
    before: int | None,
) -> list[int]:
    table = messages_table.c
    statement = select(table.seq, _SEARCHED).where(table.seq > mark).order_by(table.seq.desc())
    if numbers is not None:  # ``changed`` is never below ``seq``, and has an index by number
        statement = statement.where(table.number.in_(list(numbers)), table.changed > mark)
    if before is not None:
        statement = statement.where(table.seq < before)
    found = (int(seq) for seq, body in tx.execute(statement) if query.matches(body))
    return list(islice(found, limit))

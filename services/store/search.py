"""Messages found by their words, the newest first.

Taking in a message does not wait for the index: the worker adds what is new (``index``), and a
search reads the few texts that are newer than the index itself.

No index gives the newest hits of a frequent word quickly on both databases, so a search has two
steps where it must: it looks through a bounded number of the newest candidates, and only if they
do not suffice it asks for everything. What many messages have is found by the first step, what
few have by the second.
"""

from collections.abc import Collection, Sequence
from heapq import nlargest
from itertools import islice

from sqlalchemy import Connection, exists, select, text

from services.messages import Message
from services.store import counters, messages
from services.store.schema import counters as counters_table
from services.store.schema import messages as messages_table
from services.store.words import Sought, sought, words_of

MARK = "indexed"  # the counter with the ``seq`` of the newest message in the index
BATCH = 500  # messages: about ten milliseconds, for which other writers wait
FILL_BATCH = 5000
CANDIDATES = 1000
PREFIX = 3  # SQLite's index has the first 1, 2 and 3 letters of each word as entries of their own

_ADD = {
    "sqlite": text("INSERT INTO search_index (rowid, words) VALUES (:seq, :words)"),
    "postgresql": text(
        "INSERT INTO search_index (seq, number, words)"
        " VALUES (:seq, :number, array_to_tsvector(string_to_array(:words, ' ')))"
    ),
}

_SQLITE_ALL = text(
    "SELECT rowid FROM search_index WHERE search_index MATCH :all AND rowid < :before"
    " ORDER BY rowid DESC LIMIT :limit"
)
_SQLITE_NEWEST = text(
    "SELECT rowid FROM (SELECT rowid, words FROM search_index"
    " WHERE search_index MATCH :near AND rowid < :before ORDER BY rowid DESC LIMIT :candidates)"
    " WHERE instr(' ' || words, ' ' || :beginning) > 0 ORDER BY rowid DESC LIMIT :limit"
)

# OFFSET 0 keeps PostgreSQL from walking through the whole table for a word that it thinks frequent.
_POSTGRES_ALL = text(
    "SELECT seq FROM (SELECT seq FROM search_index"
    " WHERE words @@ CAST(:all AS tsquery) AND seq < :before OFFSET 0) AS found"
    " ORDER BY seq DESC LIMIT :limit"
)
_POSTGRES_NEWEST = (
    "SELECT seq FROM (SELECT seq, words FROM search_index WHERE {number} seq < :before"
    " ORDER BY seq DESC LIMIT :candidates) AS newest"
    " WHERE words @@ CAST(:near AS tsquery) ORDER BY seq DESC LIMIT :limit"
)
_POSTGRES_NEWEST_OF_ALL = text(_POSTGRES_NEWEST.format(number=""))
_POSTGRES_NEWEST_OF_NUMBER = text(_POSTGRES_NEWEST.format(number="number = :number AND"))


def find(
    tx: Connection,
    typed: str,
    numbers: Collection[str] | None,
    *,
    limit: int,
    before: int | None = None,
) -> list[Message]:
    """Messages of these numbers (``None``: of all) with all the words typed, the newest first.

    The last word may be the beginning of one. Case and accents do not matter. What has no word in
    it finds nothing.
    """
    wanted = sought(typed)
    if not wanted.beginning or (numbers is not None and not numbers):
        return []
    mark = counters.value(tx, MARK) or 0  # first: what the worker adds meanwhile is below neither
    seqs = _not_indexed(tx, wanted, numbers, mark, limit, before)
    if len(seqs) < limit:
        below = mark + 1 if before is None else min(before, mark + 1)
        look = _in_sqlite if tx.dialect.name == "sqlite" else _in_postgres
        seqs += look(tx, wanted, numbers, limit - len(seqs), below)
    found = messages.by_seq(tx, seqs)
    own = None if numbers is None else frozenset(numbers)
    return [
        found[seq] for seq in seqs if seq in found and (own is None or found[seq].number in own)
    ]


def is_behind(tx: Connection) -> bool:
    """Whether there are messages that the index does not have."""
    mark = counters.value(tx, MARK) or 0
    return bool(tx.execute(select(exists().where(messages_table.c.seq > mark))).scalar())


def index(tx: Connection, most: int = BATCH) -> int:
    """Add the next messages to the index, oldest first; returns how many."""
    turn = select(counters_table.c.value).where(counters_table.c.name == MARK).with_for_update()
    mark = tx.execute(turn).scalar_one()  # workers of several machines take turns
    columns = (messages_table.c.seq, messages_table.c.number, messages_table.c.text)
    statement = select(*columns).where(messages_table.c.seq > mark)
    rows = tx.execute(statement.order_by(messages_table.c.seq).limit(most)).all()
    if rows:
        tx.execute(_ADD[tx.dialect.name], [_entry(*row) for row in rows])
        counters.put(tx, MARK, rows[-1].seq)
    return len(rows)


def fill(tx: Connection) -> None:
    """Add every message to an empty index."""
    counters.put(tx, MARK, 0)
    while index(tx, FILL_BATCH):
        pass


def _entry(seq: int, number: str, said: str) -> dict[str, object]:
    """A number stands among the words of its messages; no word begins with a plus as it does."""
    words = " ".join({number: None} | dict.fromkeys(words_of(said)))
    return {"seq": seq, "number": number, "words": words}


def _not_indexed(
    tx: Connection,
    wanted: Sought,
    numbers: Collection[str] | None,
    mark: int,
    limit: int,
    before: int | None,
) -> list[int]:
    table = messages_table.c
    statement = select(table.seq, table.text).where(table.seq > mark).order_by(table.seq.desc())
    if numbers is not None:  # ``changed`` is never below ``seq``, and is in the index of numbers
        statement = statement.where(table.number.in_(list(numbers)), table.changed > mark)
    if before is not None:
        statement = statement.where(table.seq < before)
    found = (int(seq) for seq, said in tx.execute(statement) if wanted.is_in(said))
    return list(islice(found, limit))


def _in_sqlite(
    tx: Connection, wanted: Sought, numbers: Collection[str] | None, limit: int, before: int
) -> list[int]:
    own = [] if numbers is None else [f"({' OR '.join(map(_quoted, numbers))})"]
    others = [*own, *map(_quoted, wanted.words)]
    near = " AND ".join([*others, f"{_quoted(wanted.beginning[:PREFIX])} *"])
    asked = {"near": near, "beginning": wanted.beginning, "before": before, "limit": limit}
    if len(wanted.beginning) > PREFIX:
        found = _seqs(tx.execute(_SQLITE_NEWEST, asked | {"candidates": CANDIDATES}).all())
        if len(found) == limit:
            return found
    everything = " AND ".join([*others, f"{_quoted(wanted.beginning)} *"])
    return _seqs(tx.execute(_SQLITE_ALL, asked | {"all": everything}).all())


def _in_postgres(
    tx: Connection, wanted: Sought, numbers: Collection[str] | None, limit: int, before: int
) -> list[int]:
    each = (None,) if numbers is None else tuple(numbers)
    candidates = CANDIDATES // len(each)
    found = [_of_postgres(tx, wanted, number, candidates, limit, before) for number in each]
    return nlargest(limit, [seq for seqs in found for seq in seqs])


def _of_postgres(
    tx: Connection, wanted: Sought, number: str | None, candidates: int, limit: int, before: int
) -> list[int]:
    words = " & ".join([*(f"'{word}'" for word in wanted.words), f"'{wanted.beginning}':*"])
    asked = {"near": words, "number": number, "before": before, "limit": limit}
    newest = _POSTGRES_NEWEST_OF_ALL if number is None else _POSTGRES_NEWEST_OF_NUMBER
    found = _seqs(tx.execute(newest, asked | {"candidates": candidates}).all())
    if len(found) == limit:
        return found
    everything = words if number is None else f"'{number}' & {words}"
    return _seqs(tx.execute(_POSTGRES_ALL, asked | {"all": everything}).all())


def _quoted(word: str) -> str:
    """A word as FTS5 takes it literally (https://www.sqlite.org/fts5.html#fts5_strings)."""
    return f'"{word}"'


def _seqs(rows: Sequence[tuple[int]]) -> list[int]:
    return [int(seq) for (seq,) in rows]

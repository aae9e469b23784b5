"""Messages found by their words, the newest first.

Taking in a message does not wait for the index: the worker adds what is new (``index``), and a
search reads the few texts that are newer than the index itself.

No index gives the newest hits of frequent words quickly, on neither database. So a search looks
through a bounded part of what is stored, and where that gave too little it says where to go on
(``search_sqlite``, ``search_postgres``). What few messages have is found at once, however old.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, exists, select, text

from services.core.messages import Message
from services.store import counters, messages
from services.store.database.schema import messages as messages_table
from services.store.search import postgres_index, sqlite_index
from services.store.search.tokenizer import Sought, sought, words_of

MARK = "indexed"  # the counter with the ``seq`` of the newest message in the index
BATCH = 500  # messages: about ten milliseconds, for which other writers wait
FILL_BATCH = 5000

_ADD = {
    "sqlite": text("INSERT INTO search_index (rowid, words) VALUES (:seq, :words)"),
    "postgresql": text(
        "INSERT INTO search_index (seq, number, words)"
        " VALUES (:seq, :number, array_to_tsvector(string_to_array(:words, ' ')))"
    ),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Messages, the newest first, and the ``before`` to go on with (``None``: that was all).

    There may be fewer than were asked for, or none, though older ones are found by going on.
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
    """Messages of these numbers (``None``: of all) with all the words typed, the newest first.

    The last word may be the beginning of one. Case and accents do not matter. What has no word in
    it finds nothing.
    """
    wanted = sought(typed)
    if not wanted.beginning or (numbers is not None and not numbers):
        return Found([], None)
    mark = counters.value(tx, MARK) or 0  # first: what the worker adds meanwhile is below neither
    seqs, floor = _not_indexed(tx, wanted, numbers, mark, limit + 1, before), 0
    if len(seqs) <= limit:
        below = mark + 1 if before is None else min(before, mark + 1)
        look = sqlite_index.look if tx.dialect.name == "sqlite" else postgres_index.look
        indexed, floor = look(tx, wanted, numbers, limit + 1 - len(seqs), below)
        seqs += indexed
    page = seqs[:limit]
    found = messages.by_seq(tx, page)
    own = None if numbers is None else frozenset(numbers)
    there = [
        found[seq] for seq in page if seq in found and (own is None or found[seq].number in own)
    ]
    return Found(there, page[-1] if len(seqs) > limit else floor or None)


def is_behind(tx: Connection) -> bool:
    """Whether there are messages that the index does not have."""
    mark = counters.value(tx, MARK) or 0
    return bool(tx.execute(select(exists().where(messages_table.c.seq > mark))).scalar())


def index(tx: Connection, most: int = BATCH) -> int:
    """Add the next messages to the index, oldest first; returns how many."""
    mark = counters.taken(tx, MARK)
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

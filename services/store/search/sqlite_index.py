"""Full-text search in SQLite (FTS5), at a cost that does not grow with the number of messages.

For two frequent words FTS5 would read all entries of both. So for each word the search reads only
its newest entries, some hundred of them, and compares the oldest of these. The word with the oldest
one is the rarest; only the messages with this word are tested for the other words. If a word has
fewer entries than that, all messages have been searched.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, text

from services.store.search.tokenizer import Query

STEPS = (200, 1500)  # messages that are tested: about 0.2 and 1.5 ms
FEW = 500  # entries in the index
PREFIX = 3  # the index has entries for the first 1, 2 and 3 letters of each word

_MATCHING = (
    "FROM search_index WHERE search_index MATCH :term AND rowid < :before ORDER BY rowid DESC"
)
_WITH_PREFIX = "FROM search_index_words WHERE term >= :term AND term < :term || char(1114111)"
_PREFIX_ENTRIES = f"SELECT DISTINCT doc AS seq {_WITH_PREFIX} AND doc < :before"
_COUNT = text(f"SELECT count(*) FROM (SELECT 1 {_WITH_PREFIX} LIMIT :most)")  # noqa: S608 - no input
_HITS = (
    "SELECT seq FROM (SELECT seq, ' ' || words || ' ' AS words FROM ({newest} LIMIT :size))"
    " WHERE {has} ORDER BY seq DESC LIMIT :limit"
)


class _Term(NamedTuple):
    """A term that every hit must have.

    ``seqs`` and ``newest`` are queries for the messages below ``before`` that have it, newest
    first: ``seqs`` for their ``seq``, ``newest`` with their words too.
    """

    seqs: str
    newest: str
    term: str


def _matching(term: str) -> _Term:
    return _Term(f"SELECT rowid {_MATCHING}", f"SELECT rowid AS seq, words {_MATCHING}", term)


def _prefix(term: str) -> _Term:
    joined = f"({_PREFIX_ENTRIES}) CROSS JOIN search_index ON search_index.rowid = seq"
    newest = f"SELECT seq, words FROM {joined} ORDER BY seq DESC"  # noqa: S608 - no input
    return _Term(f"{_PREFIX_ENTRIES} ORDER BY doc DESC", newest, term)


def search(
    tx: Connection, query: Query, numbers: Collection[str] | None, limit: int, before: int
) -> tuple[list[int], int]:
    """The newest hits with ``seq`` below ``before``, and the ``seq`` down to which it searched.

    That is 0 if it searched all. If it found ``limit`` hits, there may be more above that ``seq``.
    """
    terms = _terms(tx, query, numbers)
    found: list[int] = []
    for size in STEPS:
        floor, rarest = min((_reach(tx, term, size, before), term) for term in terms)
        found += _hits(tx, rarest, size, query, numbers, limit - len(found), before)
        before = floor
        if len(found) >= limit or not floor:
            break
    return found, before


def _terms(tx: Connection, query: Query, numbers: Collection[str] | None) -> list[_Term]:
    terms = [_matching(_quoted(word)) for word in query.words]
    if numbers is not None:
        terms.append(_matching(" OR ".join(map(_quoted, numbers))))
    # For a longer prefix FTS5 collects all entries before it returns the first.
    few = len(query.prefix) > PREFIX and _count_entries(tx, query.prefix) < FEW
    shortened = _matching(f"{_quoted(query.prefix[:PREFIX])} *")
    return [*terms, _prefix(query.prefix) if few else shortened]


def _count_entries(tx: Connection, prefix: str) -> int:
    """How many entries have words with this prefix; counted up to ``FEW``."""
    return int(tx.execute(_COUNT, {"term": prefix, "most": FEW}).scalar_one())


def _reach(tx: Connection, term: _Term, size: int, before: int) -> int:
    """The ``seq`` of the ``size``-th newest message with a term; 0 if there are fewer."""
    statement = text(f"{term.seqs} LIMIT 1 OFFSET :others")
    parameters = {"term": term.term, "before": before, "others": size - 1}
    return int(tx.execute(statement, parameters).scalar() or 0)


def _hits(
    tx: Connection,
    term: _Term,
    size: int,
    query: Query,
    numbers: Collection[str] | None,
    limit: int,
    before: int,
) -> list[int]:
    """The hits among the ``size`` newest messages with this term."""
    words = [f" {word} " for word in query.words]
    own = [f" {number} " for number in numbers or ()]
    has = [f"instr(words, :word{index}) > 0" for index in range(len(words))]
    if own:
        any_number = " OR ".join(f"instr(words, :own{index}) > 0" for index in range(len(own)))
        has.append(f"({any_number})")
    has.append("instr(words, :prefix) > 0")
    statement = text(_HITS.format(newest=term.newest, has=" AND ".join(has)))
    parameters = {"term": term.term, "before": before, "size": size, "limit": limit}
    parameters |= {f"word{index}": word for index, word in enumerate(words)}
    parameters |= {f"own{index}": number for index, number in enumerate(own)}
    rows = tx.execute(statement, parameters | {"prefix": f" {query.prefix}"})
    return [int(seq) for (seq,) in rows]


def _quoted(word: str) -> str:
    """A word quoted as an FTS5 string (https://www.sqlite.org/fts5.html#fts5_strings)."""
    return f'"{word}"'

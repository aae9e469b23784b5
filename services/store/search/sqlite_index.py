"""Looking through SQLite's index (FTS5), at a cost that does not grow with what is stored.

To ask FTS5 for two frequent words is to walk along all places of both. So of each word the place
some hundred messages back is looked up, which is a short walk; the word that reaches back farthest
is the rarest, and only the messages that have it are looked at for the others. A word that is in
fewer messages reaches back to the first of all: then everything has been searched.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, text

from services.store.search.tokenizer import Sought

STEPS = (200, 1500)  # messages that are looked at: about 0.2 and 1.5 ms
FEW = 500  # places in the index
PREFIX = 3  # the index has the first 1, 2 and 3 letters of each word as entries of their own

_MATCHING = (
    "FROM search_index WHERE search_index MATCH :term AND rowid < :before ORDER BY rowid DESC"
)
_BEGUN = "FROM search_index_words WHERE term >= :term AND term < :term || char(1114111)"
_BEGINNING = f"SELECT DISTINCT doc AS seq {_BEGUN} AND doc < :before"
_COUNT = text(f"SELECT count(*) FROM (SELECT 1 {_BEGUN} LIMIT :most)")  # noqa: S608 - no input
_HITS = (
    "SELECT seq FROM (SELECT seq, ' ' || words || ' ' AS words FROM ({newest} LIMIT :size))"
    " WHERE {has} ORDER BY seq DESC LIMIT :limit"
)


class _Entry(NamedTuple):
    """Something that every message wanted has.

    ``seqs`` and ``newest`` are queries of those with the term below ``before``, the newest first,
    without and with their words.
    """

    seqs: str
    newest: str
    term: str


def _matching(term: str) -> _Entry:
    return _Entry(f"SELECT rowid {_MATCHING}", f"SELECT rowid AS seq, words {_MATCHING}", term)


def _beginning(term: str) -> _Entry:
    joined = f"({_BEGINNING}) CROSS JOIN search_index ON search_index.rowid = seq"
    newest = f"SELECT seq, words FROM {joined} ORDER BY seq DESC"  # noqa: S608 - no input
    return _Entry(f"{_BEGINNING} ORDER BY doc DESC", newest, term)


def look(
    tx: Connection, wanted: Sought, numbers: Collection[str] | None, limit: int, before: int
) -> tuple[list[int], int]:
    """The newest hits below ``before``, and down to which ``seq`` all are found (0: to the first).

    With ``limit`` hits there may be more above that.
    """
    entries = _entries(tx, wanted, numbers)
    found: list[int] = []
    for size in STEPS:
        floor, rarest = min((_reach(tx, entry, size, before), entry) for entry in entries)
        found += _having(tx, rarest, size, wanted, numbers, limit - len(found), before)
        before = floor
        if len(found) >= limit or not floor:
            break
    return found, before


def _entries(tx: Connection, wanted: Sought, numbers: Collection[str] | None) -> list[_Entry]:
    beginning = wanted.beginning
    entries = [_matching(_quoted(word)) for word in wanted.words]
    if numbers is not None:
        entries.append(_matching(" OR ".join(map(_quoted, numbers))))
    # FTS5 collects all places of a longer beginning before it tells the first.
    few = len(beginning) > PREFIX and _places(tx, beginning) < FEW
    near = _matching(f"{_quoted(beginning[:PREFIX])} *")
    return [*entries, _beginning(beginning) if few else near]


def _places(tx: Connection, beginning: str) -> int:
    """In how many places words begin so; not counted beyond ``FEW``."""
    return int(tx.execute(_COUNT, {"term": beginning, "most": FEW}).scalar_one())


def _reach(tx: Connection, entry: _Entry, size: int, before: int) -> int:
    """Where the oldest of the ``size`` newest messages with it is; 0 if there are not so many."""
    statement = text(f"{entry.seqs} LIMIT 1 OFFSET :others")
    asked = {"term": entry.term, "before": before, "others": size - 1}
    return int(tx.execute(statement, asked).scalar() or 0)


def _having(
    tx: Connection,
    entry: _Entry,
    size: int,
    wanted: Sought,
    numbers: Collection[str] | None,
    limit: int,
    before: int,
) -> list[int]:
    """Those that have everything among the ``size`` newest messages with this entry."""
    words = [f" {word} " for word in wanted.words]
    own = [f" {number} " for number in numbers or ()]
    has = [f"instr(words, :word{turn}) > 0" for turn in range(len(words))]
    if own:
        some = " OR ".join(f"instr(words, :own{turn}) > 0" for turn in range(len(own)))
        has.append(f"({some})")
    has.append("instr(words, :beginning) > 0")
    statement = text(_HITS.format(newest=entry.newest, has=" AND ".join(has)))
    asked = {"term": entry.term, "before": before, "size": size, "limit": limit}
    asked |= {f"word{turn}": word for turn, word in enumerate(words)}
    asked |= {f"own{turn}": number for turn, number in enumerate(own)}
    rows = tx.execute(statement, asked | {"beginning": f" {wanted.beginning}"})
    return [int(seq) for (seq,) in rows]


def _quoted(word: str) -> str:
    """A word as FTS5 takes it literally (https://www.sqlite.org/fts5.html#fts5_strings)."""
    return f'"{word}"'

"""Looking through PostgreSQL's index, at a cost that does not grow with what is stored.

To ask its index (GIN) for a word is to collect all messages that have it. So the newest messages
are read one by one; where they do not suffice, the index is asked for the rarest word if that is
in few messages, as a sample from all times tells, and otherwise some more are read.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, TextClause, text

from services.store.search.tokenizer import Sought

STEPS = (1000, 10_000)  # messages that are read: about 0.3 and 3 ms
FEW = 5000  # messages that the index may have to collect
POINTS, AT_EACH = 50, 20  # of the sample

_NEWEST = (
    "SELECT seq, words FROM search_index WHERE {number} seq < :before ORDER BY seq DESC LIMIT :size"
)
_HITS = (
    "SELECT seq FROM ({newest}) AS newest"
    " WHERE words @@ CAST(:all AS tsquery) ORDER BY seq DESC LIMIT :limit"
)
_REACH = (
    "SELECT seq FROM search_index WHERE {number} seq < :before"
    " ORDER BY seq DESC LIMIT 1 OFFSET :others"
)
_COUNTS = (
    "SELECT coalesce(max(latest), 0), count(*), {counts}"
    " FROM (SELECT max(seq) AS latest FROM search_index) AS newest"
    " CROSS JOIN generate_series(1, :points) AS point CROSS JOIN LATERAL"
    " (SELECT words FROM search_index WHERE seq <= latest * point / :points"
    " ORDER BY seq DESC LIMIT :at_each) AS sample"
)
# OFFSET 0 keeps PostgreSQL from walking through the whole table for a word that it thinks frequent.
_COLLECTED = (
    "SELECT seq FROM (SELECT seq, number, words FROM search_index"
    " WHERE words @@ CAST(:rarest AS tsquery) AND seq < :before OFFSET 0) AS collected"
    " WHERE {number} words @@ CAST(:all AS tsquery) ORDER BY seq DESC LIMIT :limit"
)
_OF_NUMBER = "number = :number AND"
_OF_NUMBERS = "number = ANY(:numbers) AND"


def look(
    tx: Connection, wanted: Sought, numbers: Collection[str] | None, limit: int, before: int
) -> tuple[list[int], int]:
    """The newest hits below ``before``, and down to which ``seq`` all are found (0: to the first).

    With ``limit`` hits there may be more above that.
    """
    terms = [*(f"'{word}'" for word in wanted.words), f"'{wanted.beginning}':*"]
    everything = " & ".join(terms)
    first, more = STEPS
    found, floor = _read(tx, everything, numbers, first, limit, before)
    if len(found) >= limit or not floor:
        return found, floor
    rarest = _rarest(tx, terms)
    if rarest is None:
        others, floor = _read(tx, everything, numbers, more, limit - len(found), floor)
        return found + others, floor
    statement = text(_COLLECTED.format(number="" if numbers is None else _OF_NUMBERS))
    asked = {"rarest": rarest, "all": everything, "before": floor, "limit": limit - len(found)}
    own = {} if numbers is None else {"numbers": list(numbers)}
    return found + _seqs(tx, statement, asked | own), 0


def _read(
    tx: Connection,
    everything: str,
    numbers: Collection[str] | None,
    size: int,
    limit: int,
    before: int,
) -> tuple[list[int], int]:
    """The hits among the newest messages, ``size`` of all numbers together."""
    each = (None,) if numbers is None else tuple(numbers)
    share = max(1, size // len(each))
    found = [_read_number(tx, everything, number, share, limit, before) for number in each]
    floor = max(reached for _, reached in found)  # below it something of a number may be missing
    hits = sorted((seq for seqs, _ in found for seq in seqs if seq >= floor), reverse=True)
    return hits[:limit], floor


def _read_number(
    tx: Connection, everything: str, number: str | None, size: int, limit: int, before: int
) -> tuple[list[int], int]:
    only = "" if number is None else _OF_NUMBER
    asked = {"before": before} | ({} if number is None else {"number": number})
    hits = text(_HITS.format(newest=_NEWEST.format(number=only)))
    seqs = _seqs(tx, hits, asked | {"all": everything, "size": size, "limit": limit})
    if len(seqs) == limit:
        return seqs, seqs[-1]
    reach = text(_REACH.format(number=only))
    return seqs, int(tx.execute(reach, asked | {"others": size - 1}).scalar() or 0)


def _rarest(tx: Connection, terms: list[str]) -> str | None:
    """The term that the fewest messages have, where those are few."""
    counts = ", ".join(
        f"count(*) FILTER (WHERE words @@ CAST(:term{turn} AS tsquery))"
        for turn in range(len(terms))
    )
    asked = {f"term{turn}": term for turn, term in enumerate(terms)}
    sizes = {"points": POINTS, "at_each": AT_EACH}
    row = tx.execute(text(_COUNTS.format(counts=counts)), asked | sizes).one()
    latest, sampled, *having = row
    least = min(having)
    return terms[having.index(least)] if least * latest <= FEW * sampled else None


def _seqs(tx: Connection, statement: TextClause, asked: Mapping[str, object]) -> list[int]:
    return [int(seq) for (seq,) in tx.execute(statement, asked)]

"""Full-text search in PostgreSQL, at a cost that does not grow with the number of messages.

Its index (GIN) can only collect all messages that have a word, which is slow for a frequent word.
So a search first reads the newest messages one by one. If they have too few hits, it estimates from
a sample how many messages have the rarest word: if few, the index collects them; if many, the
search reads some more messages.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, TextClause, text

from services.store.search.tokenizer import Query

STEPS = (1000, 10_000)  # messages that are read: about 0.3 and 3 ms
FEW = 5000  # messages that the index may collect
POINTS, AT_EACH = 50, 20  # the sample: messages at each of so many points

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
# OFFSET 0 keeps PostgreSQL from reading the whole table if it takes the word for a frequent one.
_COLLECTED = (
    "SELECT seq FROM (SELECT seq, number, words FROM search_index"
    " WHERE words @@ CAST(:rarest AS tsquery) AND seq < :before OFFSET 0) AS collected"
    " WHERE {number} words @@ CAST(:all AS tsquery) ORDER BY seq DESC LIMIT :limit"
)
_OF_NUMBER = "number = :number AND"
_OF_NUMBERS = "number = ANY(:numbers) AND"


def search(
    tx: Connection, query: Query, numbers: Collection[str] | None, limit: int, before: int
) -> tuple[list[int], int]:
    """The newest hits with ``seq`` below ``before``, and the ``seq`` down to which it searched.

    That is 0 if it searched all. If it found ``limit`` hits, there may be more above that ``seq``.
    """
    terms = [*(f"'{word}'" for word in query.words), f"'{query.prefix}':*"]
    condition = " & ".join(terms)
    first, second = STEPS
    found, floor = _read(tx, condition, numbers, first, limit, before)
    if len(found) >= limit or not floor:
        return found, floor
    rarest = _rarest(tx, terms)
    if rarest is None:
        more_hits, floor = _read(tx, condition, numbers, second, limit - len(found), floor)
        return found + more_hits, floor
    statement = text(_COLLECTED.format(number="" if numbers is None else _OF_NUMBERS))
    parameters = {"rarest": rarest, "all": condition, "before": floor, "limit": limit - len(found)}
    own = {} if numbers is None else {"numbers": list(numbers)}
    return found + _seqs(tx, statement, parameters | own), 0


def _read(
    tx: Connection,
    condition: str,
    numbers: Collection[str] | None,
    size: int,
    limit: int,
    before: int,
) -> tuple[list[int], int]:
    """The hits among the newest ``size`` messages of all the numbers together."""
    each = (None,) if numbers is None else tuple(numbers)
    share = max(1, size // len(each))
    found = [_read_number(tx, condition, number, share, limit, before) for number in each]
    floor = max(reached for _, reached in found)  # below it, messages of some number were not read
    hits = sorted((seq for seqs, _ in found for seq in seqs if seq >= floor), reverse=True)
    return hits[:limit], floor


def _read_number(
    tx: Connection, condition: str, number: str | None, size: int, limit: int, before: int
) -> tuple[list[int], int]:
    only = "" if number is None else _OF_NUMBER
    parameters = {"before": before} | ({} if number is None else {"number": number})
    hits = text(_HITS.format(newest=_NEWEST.format(number=only)))
    seqs = _seqs(tx, hits, parameters | {"all": condition, "size": size, "limit": limit})
    if len(seqs) == limit:
        return seqs, seqs[-1]
    reach = text(_REACH.format(number=only))
    return seqs, int(tx.execute(reach, parameters | {"others": size - 1}).scalar() or 0)


def _rarest(tx: Connection, terms: list[str]) -> str | None:
    """The term with the fewest messages, or ``None`` if even those are not few."""
    counts = ", ".join(
        f"count(*) FILTER (WHERE words @@ CAST(:term{index} AS tsquery))"
        for index in range(len(terms))
    )
    parameters = {f"term{index}": term for index, term in enumerate(terms)}
    sizes = {"points": POINTS, "at_each": AT_EACH}
    row = tx.execute(text(_COUNTS.format(counts=counts)), parameters | sizes).one()
    latest, sampled, *numbers_of_hits = row
    least = min(numbers_of_hits)
    return terms[numbers_of_hits.index(least)] if least * latest <= FEW * sampled else None


def _seqs(tx: Connection, statement: TextClause, parameters: Mapping[str, object]) -> list[int]:
    return [int(seq) for (seq,) in tx.execute(statement, parameters)]

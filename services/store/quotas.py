"""Allowances: at most so many of something within a span of time, over all processes and nodes.

A span begins with the first that is counted and is over after ``seconds``; the next one then begins
anew. What is counted in the transaction of the thing itself is exact: if that is not kept, it was
not counted either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, select

from services.store import counters
from services.store.database import clock
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import allowances
from services.store.database.upsert import insert


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most ``most`` within ``seconds`` for a name, such as ``send:201``."""

    name: str
    most: int
    seconds: float

    @property
    def key(self) -> str:
        """The name of its row: one name may have spans of several lengths."""
        return f"{self.name}/{self.seconds:g}"


@dataclass(frozen=True, slots=True)
class UsedUp:
    """An allowance that has no room, and the seconds until it begins anew."""

    allowance: Allowance
    seconds: float


def _count(tx: Connection) -> object:
    statement = insert(tx, allowances)
    new, is_over = statement.excluded, allowances.c.until <= bindparam("now")
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "used": case((is_over, new.used), else_=allowances.c.used + new.used),
            "until": case((is_over, new.until), else_=allowances.c.until),
        },
    ).returning(allowances.c.used, allowances.c.until)


_COUNT = CompiledStatement(_count)
_OF = CompiledStatement(
    lambda _: select(allowances.c.used, allowances.c.until).where(
        allowances.c.name == bindparam("key"), allowances.c.until > bindparam("now")
    )
)


def take(tx: Connection, wanted: Sequence[Allowance], amount: int = 1) -> UsedUp | None:
    """Count ``amount`` in each; of those without room for it, returns the one to wait for longest.

    Whoever is told so takes the transaction back, so that nothing was counted. It holds the
    installation's sequence, so that no two nodes wait for each other.
    """
    if not wanted:
        return None
    counters.hold_sequence(tx)
    now = clock.now(tx)
    spent = []
    for allowance in wanted:
        until = now + allowance.seconds
        row = _COUNT.row(tx, name=allowance.key, used=amount, until=until, now=now)
        if row.used > allowance.most:
            spent.append(UsedUp(allowance, row.until - now))
    return _longest(spent)


def used_up(tx: Connection, wanted: Sequence[Allowance]) -> UsedUp | None:
    """Of the allowances that have no room at all the one to wait for longest; counts nothing."""
    if not wanted:
        return None
    now = clock.now(tx)
    spent = []
    for allowance in wanted:
        row = _OF.row(tx, key=allowance.key, now=now)
        if row is not None and row.used >= allowance.most:
            spent.append(UsedUp(allowance, row.until - now))
    return _longest(spent)


def forget(tx: Connection, wanted: Sequence[Allowance]) -> None:
    """Let some allowances begin anew."""
    keys = [allowance.key for allowance in wanted]
    tx.execute(delete(allowances).where(allowances.c.name.in_(keys)))


def sweep(tx: Connection) -> None:
    """Remove the spans that are over."""
    tx.execute(delete(allowances).where(allowances.c.until <= clock.now(tx)))


def _longest(spent: Sequence[UsedUp]) -> UsedUp | None:
    return max(spent, key=lambda each: each.seconds, default=None)

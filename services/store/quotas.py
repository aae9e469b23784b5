"""Quotas: at most so many of something in a period, over all processes and nodes.

A period begins with the first use after the last period and ends after ``seconds``. If a use is
counted in the transaction that it belongs to, the count is exact: a transaction that is rolled back
counts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, select, update

from services.store import counters
from services.store.database import clock
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import allowances
from services.store.database.upsert import insert


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``most`` uses in ``seconds`` under a name, such as ``send:201``."""

    name: str
    most: int
    seconds: float

    @property
    def key(self) -> str:
        """The name of its row: a name may have several quotas with different periods."""
        return f"{self.name}/{self.seconds:g}"


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A quota that is used up, and the seconds until its period ends."""

    quota: Quota
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


def take(tx: Connection, quotas: Sequence[Quota], amount: int = 1) -> UsedUp | None:
    """Use ``amount`` of each quota. Returns the exceeded quota with the longest wait, if any.

    If it returns one, the caller rolls the transaction back, so that nothing is counted, or commits
    to count a use beyond the quota (received files). It locks the sequence of the installation
    first, so that two nodes cannot deadlock.
    """
    if not quotas:
        return None
    counters.hold_sequence(tx)
    now = clock.now(tx)
    spent = []
    for quota in quotas:
        until = now + quota.seconds
        row = _COUNT.row(tx, name=quota.key, used=amount, until=until, now=now)
        if row.used > quota.most:
            spent.append(UsedUp(quota, row.until - now))
    return _longest(spent)


def give_back(tx: Connection, quotas: Sequence[Quota]) -> None:
    """Take back one use of each quota, for what could not be done after all."""
    for quota in quotas:
        used = allowances.c.used
        known = (allowances.c.name == quota.key) & (used > 0)
        tx.execute(update(allowances).where(known).values(used=used - 1))


def used_up(tx: Connection, quotas: Sequence[Quota]) -> UsedUp | None:
    """The quota with the longest wait of those that are used up, if any; counts nothing."""
    if not quotas:
        return None
    now = clock.now(tx)
    spent = []
    for quota in quotas:
        row = _OF.row(tx, key=quota.key, now=now)
        if row is not None and row.used >= quota.most:
            spent.append(UsedUp(quota, row.until - now))
    return _longest(spent)


def reset(tx: Connection, quotas: Sequence[Quota]) -> None:
    """End the periods of some quotas, so that they are unused again."""
    keys = [quota.key for quota in quotas]
    tx.execute(delete(allowances).where(allowances.c.name.in_(keys)))


def sweep(tx: Connection) -> None:
    """Delete the rows of periods that are over."""
    tx.execute(delete(allowances).where(allowances.c.until <= clock.now(tx)))


def _longest(spent: Sequence[UsedUp]) -> UsedUp | None:
    return max(spent, key=lambda each: each.seconds, default=None)

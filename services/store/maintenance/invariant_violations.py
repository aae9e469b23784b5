"""Laws that do not hold, as the last check has found them: what every process shows."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from services.store.database.schema import breaches


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold, why, and since when (seconds since 1970)."""

    law: str
    reason: str
    since: float = 0.0


def standing(tx: Connection) -> list[Violation]:
    """What was found, the oldest first."""
    rows = tx.execute(select(breaches).order_by(breaches.c.since, breaches.c.law))
    return [Violation(row.law, row.reason, row.since) for row in rows]


def put(tx: Connection, found: Iterable[Violation]) -> None:
    """Let these stand and no other; what stood before keeps its time."""
    since = {breach.law: breach.since for breach in standing(tx)}
    tx.execute(delete(breaches))
    for breach in found:
        begun = since.get(breach.law, time.time())
        tx.execute(breaches.insert().values(law=breach.law, reason=breach.reason, since=begun))

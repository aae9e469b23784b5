"""Invariants that do not hold, as found by the last check; every process shows them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from services.store.database.schema import breaches


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, the reason, and since when (seconds since 1970)."""

    invariant: str
    reason: str
    since: float = 0.0


def current(tx: Connection) -> list[Violation]:
    """The violations found by the last check, oldest first."""
    rows = tx.execute(select(breaches).order_by(breaches.c.since, breaches.c.law))
    return [Violation(row.law, row.reason, row.since) for row in rows]


def put(tx: Connection, found: Iterable[Violation]) -> None:
    """Replace the violations by these; one that was there before keeps its time."""
    since = {known.invariant: known.since for known in current(tx)}
    tx.execute(delete(breaches))
    for violation in found:
        name = violation.invariant
        row = {"law": name, "reason": violation.reason, "since": since.get(name, time.time())}
        tx.execute(breaches.insert().values(row))

"""Destinations: carriers, push channels and the mail server, left alone for a while if need be."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import destinations
from services.store.database.upsert import insert

_RESUME = CompiledStatement(
    lambda _: delete(destinations).where(
        destinations.c.name == bindparam("name"),
        or_(destinations.c.config, destinations.c.paused_until <= bindparam("now")),
    )
)
_UNWELL = CompiledStatement(lambda _: select(destinations).order_by(destinations.c.name))
SHORTEST_PAUSE = 30.0
LONGEST_PAUSE = 900.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing goes to a destination until when; ``config`` means the operator must act."""

    name: str
    until: float
    reason: str
    config: bool


def pause(tx: Connection, name: str, until: float, reason: str, *, config: bool) -> None:
    """Leave a destination alone until a time."""
    statement = insert(tx, destinations).values(
        name=name, paused_until=until, reason=reason, failures=1, config=config
    )
    changes = {
        "paused_until": until,
        "reason": reason,
        "failures": destinations.c.failures + 1,
        "config": config,
    }
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changes))


def failures(tx: Connection, name: str) -> int:
    """How often in a row a destination has asked to be left alone."""
    statement = select(destinations.c.failures).where(destinations.c.name == name)
    return int(tx.execute(statement).scalar() or 0)


def resume(tx: Connection, name: str) -> None:
    """Forget that a destination was unwell: it has taken something.

    A pause that it asked for itself stays: what it takes meanwhile had begun before.
    """
    _RESUME.change(tx, name=name, now=time.time())


def resume_all(tx: Connection) -> None:
    """Try every destination again at once, as after a change of the configuration."""
    tx.execute(update(destinations).values(paused_until=0.0))


def unwell(tx: Connection) -> list[Pause]:
    """Destinations that have not taken anything since they asked to be left alone."""
    return [Pause(row.name, row.paused_until, row.reason, row.config) for row in _UNWELL.rows(tx)]

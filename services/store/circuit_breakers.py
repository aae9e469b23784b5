"""Circuit breakers: pauses of destinations that fail or ask to wait (table ``destinations``).

A destination is a carrier, a push channel or the mail server. ``MAILBOX`` is the mailbox from which
answers are fetched.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from services.store.database import clock
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
MAILBOX = "mailbox"
SHORTEST_PAUSE = 30.0
LONGEST_PAUSE = 900.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of a destination; ``config`` means that the operator must correct something."""

    name: str
    until: float
    reason: str
    config: bool


def pause(tx: Connection, name: str, until: float, reason: str, *, config: bool) -> None:
    """Send nothing to a destination until a time (``clock.now``)."""
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
    """How many times in a row a destination was paused."""
    statement = select(destinations.c.failures).where(destinations.c.name == name)
    return int(tx.execute(statement).scalar() or 0)


def resume(tx: Connection, name: str) -> None:
    """End the pause of a destination, because it has accepted something.

    A pause that is not over yet stays: what the destination accepts meanwhile was begun before it.
    Only a pause for a wrong configuration ends at once.
    """
    _RESUME.change(tx, name=name, now=clock.now(tx))


def resume_all(tx: Connection) -> None:
    """End all pauses, for example after a change of the configuration."""
    tx.execute(update(destinations).values(paused_until=0.0))


def unwell(tx: Connection) -> list[Pause]:
    """The destinations that have accepted nothing since they were paused."""
    return [Pause(row.name, row.paused_until, row.reason, row.config) for row in _UNWELL.rows(tx)]

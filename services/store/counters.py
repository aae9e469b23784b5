"""Table of named numbers: the sequence of the installation, and positions of background tasks."""

from sqlalchemy import Connection, delete, select

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import counters
from services.store.database.upsert import insert

RESET = "reset"  # name: apps that have seen no more than this ``seq`` load everything again
_SEQUENCE = CompiledStatement(
    lambda _: select(counters.c.value).where(counters.c.name == "seq").with_for_update()
)


def hold_sequence(tx: Connection) -> None:
    """Lock the sequence of the installation until the end of the transaction.

    Every change of messages locks it first. It also serves as the lock for a row that may not exist
    yet, because such a row cannot be locked itself.
    """
    _SEQUENCE.row(tx)


def value(tx: Connection, name: str) -> int | None:
    """A number, or ``None`` if it was never set."""
    found = tx.execute(select(counters.c.value).where(counters.c.name == name)).scalar()
    return int(found) if found is not None else None


def put(tx: Connection, name: str, value: int) -> None:
    """Set a number."""
    statement = insert(tx, counters).values(name=name, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def forget_before(tx: Connection, prefix: str, value: int) -> None:
    """Delete the numbers below ``value`` whose names start with ``prefix``."""
    named = counters.c.name.startswith(prefix, autoescape=True)
    tx.execute(delete(counters).where(named, counters.c.value < value))


def locked_value(tx: Connection, name: str) -> int:
    """A number that exists, locked until the transaction ends: other machines wait for it."""
    statement = select(counters.c.value).where(counters.c.name == name).with_for_update()
    return int(tx.execute(statement).scalar_one())

"""Numbers with a name: the installation's sequence, and when something was last done."""

from sqlalchemy import Connection, select

from services.store.dialect import insert
from services.store.schema import counters

RESET = "reset"  # apps that have seen no more than this load everything anew


def value(tx: Connection, name: str) -> int | None:
    """A number, or ``None`` before it was first put."""
    found = tx.execute(select(counters.c.value).where(counters.c.name == name)).scalar()
    return int(found) if found is not None else None


def put(tx: Connection, name: str, value: int) -> None:
    """Put a number."""
    statement = insert(tx, counters).values(name=name, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

"""Numbers with a name: the installation's sequence, and when something was last done."""

from sqlalchemy import Connection, select

from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import counters
from services.store.database.upsert import insert

RESET = "reset"  # apps that have seen no more than this load everything anew
_SEQUENCE = CompiledStatement(
    lambda _: select(counters.c.value).where(counters.c.name == "seq").with_for_update()
)


def hold_sequence(tx: Connection) -> None:
    """Hold the installation's sequence until the end of the transaction.

    Everything that changes messages takes it first; so does whoever needs a row that may not be
    there yet, which cannot be locked.
    """
    _SEQUENCE.row(tx)


def value(tx: Connection, name: str) -> int | None:
    """A number, or ``None`` before it was first put."""
    found = tx.execute(select(counters.c.value).where(counters.c.name == name)).scalar()
    return int(found) if found is not None else None


def put(tx: Connection, name: str, value: int) -> None:
    """Put a number."""
    statement = insert(tx, counters).values(name=name, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def taken(tx: Connection, name: str) -> int:
    """A number that is there, held until the transaction ends: several machines take turns."""
    turn = select(counters.c.value).where(counters.c.name == name).with_for_update()
    return int(tx.execute(turn).scalar_one())

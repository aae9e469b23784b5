"""Table of contacts: names of peers with notes, one list for the whole installation."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Row, delete, func, select

from services.store.database.schema import contacts
from services.store.database.upsert import insert

_COLUMNS = (contacts.c.number, contacts.c.name, contacts.c.note)


@dataclass(frozen=True, slots=True)
class Contact:
    """The name of an address; ``number`` is E.164, a short code or an alphanumeric sender."""

    number: str
    name: str
    note: str = ""


def all_contacts(tx: Connection) -> list[Contact]:
    """All contacts, sorted by number."""
    return [_contact(row) for row in tx.execute(select(*_COLUMNS).order_by(contacts.c.number))]


def of(tx: Connection, numbers: Iterable[str]) -> dict[str, Contact]:
    """The contacts of some addresses; those without one are left out."""
    rows = tx.execute(select(*_COLUMNS).where(contacts.c.number.in_(set(numbers))))
    return {str(row.number): _contact(row) for row in rows}


def names(tx: Connection, numbers: Iterable[str]) -> dict[str, str]:
    """The names of some addresses; those without a name are left out."""
    statement = select(contacts.c.number, contacts.c.name)
    rows = tx.execute(statement.where(contacts.c.number.in_(set(numbers))))
    return {str(row.number): str(row.name) for row in rows}


def count(tx: Connection) -> int:
    """Number of contacts of the installation."""
    return int(tx.execute(select(func.count()).select_from(contacts)).scalar_one())


def put(tx: Connection, contact: Contact) -> None:
    """Set the name and the note of an address."""
    put_all(tx, [contact])


def put_all(tx: Connection, new: Iterable[Contact]) -> None:
    """Set the names and notes of addresses, each of which is there once."""
    rows = [{**asdict(one), "updated_at": time.time()} for one in new]
    if not rows:
        return
    statement = insert(tx, contacts)
    changed = {name: statement.excluded[name] for name in ("name", "note", "updated_at")}
    tx.execute(statement.on_conflict_do_update(index_elements=["number"], set_=changed), rows)


def remove(tx: Connection, number: str) -> bool:
    """Delete the contact of an address; false if it has none."""
    return bool(tx.execute(delete(contacts).where(contacts.c.number == number)).rowcount)


def _contact(row: Row[str, str, str]) -> Contact:
    return Contact(row.number, row.name, row.note)

"""Table of contacts: names of peers, one list for the whole installation."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from services.store.database.schema import contacts
from services.store.database.upsert import insert


@dataclass(frozen=True, slots=True)
class Contact:
    """The name of an address; ``number`` is E.164, a short code or an alphanumeric sender."""

    number: str
    name: str


def all_contacts(tx: Connection) -> list[Contact]:
    """All contacts, sorted by number."""
    statement = select(contacts.c.number, contacts.c.name).order_by(contacts.c.number)
    return [Contact(row.number, row.name) for row in tx.execute(statement)]


def names(tx: Connection, numbers: Iterable[str]) -> dict[str, str]:
    """The names of some addresses; those without a name are left out."""
    statement = select(contacts.c.number, contacts.c.name)
    rows = tx.execute(statement.where(contacts.c.number.in_(set(numbers))))
    return {str(row.number): str(row.name) for row in rows}


def count(tx: Connection) -> int:
    """Number of contacts of the installation."""
    return int(tx.execute(select(func.count()).select_from(contacts)).scalar_one())


def put(tx: Connection, contact: Contact) -> None:
    """Set the name of an address."""
    named = {"name": contact.name, "updated_at": time.time()}
    statement = insert(tx, contacts).values(number=contact.number, **named)
    tx.execute(statement.on_conflict_do_update(index_elements=["number"], set_=named))


def remove(tx: Connection, number: str) -> bool:
    """Delete the name of an address; false if it has none."""
    return bool(tx.execute(delete(contacts).where(contacts.c.number == number)).rowcount)

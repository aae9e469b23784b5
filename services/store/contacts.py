"""Contacts: the names of those who write to us, one list for the whole installation."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from services.store.database.schema import contacts
from services.store.database.upsert import insert


@dataclass(frozen=True, slots=True)
class Contact:
    """What to call an address: a number in E.164, a short code or a sender's name."""

    number: str
    name: str


def everybody(tx: Connection) -> list[Contact]:
    """All contacts, in the order of their numbers."""
    statement = select(contacts.c.number, contacts.c.name).order_by(contacts.c.number)
    return [Contact(row.number, row.name) for row in tx.execute(statement)]


def names(tx: Connection, numbers: Iterable[str]) -> dict[str, str]:
    """What some addresses are called; those without a name are left out."""
    statement = select(contacts.c.number, contacts.c.name)
    rows = tx.execute(statement.where(contacts.c.number.in_(set(numbers))))
    return {str(row.number): str(row.name) for row in rows}


def put(tx: Connection, contact: Contact) -> None:
    """Give an address a name, whatever it was called before."""
    named = {"name": contact.name, "updated_at": time.time()}
    statement = insert(tx, contacts).values(number=contact.number, **named)
    tx.execute(statement.on_conflict_do_update(index_elements=["number"], set_=named))


def remove(tx: Connection, number: str) -> bool:
    """Forget the name of an address; false where it has none."""
    return bool(tx.execute(delete(contacts).where(contacts.c.number == number)).rowcount)

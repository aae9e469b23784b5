"""Table with the Message Settings document, for all machines that share a PostgreSQL database.

The migration creates its only row, so that there is always one to lock. ``document`` is NULL until
the first document is stored.
"""

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from services.core.commands import flask_command
from services.store.database.schema import message_settings as table
from services.store.database.store import Store


class SettingsRow:
    """Stores the document of Message Settings. Every method may raise ``StorageUnwell``."""

    name = "The document of Message Settings in the database"
    remedy = (
        f"Correct it first: {flask_command('settings export FILE')}, edit it, "
        f"{flask_command('settings import FILE')}."
    )
    fresh_seconds = 1.0  # cached so long: every message needs the settings

    def __init__(self, store: Store) -> None:
        self._store = store

    def version(self) -> int:
        """The version: it grows with every change of the document."""
        return self._store.read(lambda tx: int(tx.execute(select(table.c.version)).scalar_one()))

    def read(self) -> bytes | None:
        """The document, or ``None`` before the first one."""
        return self._store.read(document)

    def replace(self, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the document by the result of ``change``; the row is locked meanwhile."""

        def work(tx: Connection) -> None:
            tx.execute(select(table.c.id).with_for_update())
            put(tx, change(document(tx)))

        self._store.write(work)


def document(tx: Connection) -> bytes | None:
    """The document (UTF-8), or ``None`` before the first one."""
    kept = tx.execute(select(table.c.document)).scalar_one()
    return None if kept is None else str(kept).encode()


def put(tx: Connection, content: bytes) -> None:
    """Replace the document by another one (UTF-8)."""
    values = {"version": table.c.version + 1, "document": content.decode()}
    tx.execute(update(table).values(values))

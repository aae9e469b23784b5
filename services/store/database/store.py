"""The database: everything that Textbridge knows, kept durably.

``Store`` hands a connection to functions of the modules beside it, inside one transaction.
"""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.store.database.engine import deferred_sync_engine, open_engine
from services.store.database.migrate import is_current, migrate
from services.store.database.notifier import Notifier, open_notifier
from services.store.database.persistent_connections import PersistentConnections
from services.store.database.write_lock import WriteLock
from services.store.database.writer import Writer, unwell
from services.store.maintenance.secure_delete import rewrite_database

T = TypeVar("T")
READERS = 4


class Store:
    """SQLite or PostgreSQL behind one face."""

    def __init__(self, database_url: str | None, storage: Path) -> None:
        storage.mkdir(parents=True, exist_ok=True)
        self.engine = open_engine(database_url, storage)
        self._lazy = deferred_sync_engine(self.engine)
        self.notifier: Notifier = open_notifier(self.engine, storage)
        self._write_lock = WriteLock(storage / "write.lock")
        on_sqlite = self.engine.dialect.name == "sqlite"
        between = self._write_lock.taken if on_sqlite else nullcontext
        self._writer = Writer(self.engine, self._lazy, self.notifier, between)
        self._readers = PersistentConnections(self.engine, READERS)
        self._lock_file = storage / "migrate.lock"

    def migrate(self) -> None:
        """Bring the schema up to date; several processes may try at once.

        Raises ``StorageUnwell`` for a database that cannot be reached or is none.
        """
        try:
            with FileLock(self._lock_file):  # also for the look: the first one makes the file
                if not is_current(self.engine):
                    migrate(self.engine)
        except DBAPIError as error:
            raise unwell(error) from error

    def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run ``work`` in a transaction, which is on the disk when this returns.

        With ``durable=False`` a power cut may undo it, see ``Writer.run``.
        """
        return self._writer.run(work, durable=durable)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on one consistent view of the data. Raises ``StorageUnwell``."""
        try:
            if self._readers:
                with suppress(DBAPIError):  # left over from before the database went away
                    return self._readers.run(work)
            return self._readers.run(work)
        except (DBAPIError, PoolTimeout) as error:
            raise unwell(error) from error

    def write_anew(self) -> bool:
        """Leave nothing of what was deleted in SQLite's files, see ``erasing.write_anew``.

        Whoever wants to write waits as long as it takes. PostgreSQL does it by itself.
        """
        if self.engine.dialect.name != "sqlite":
            return True
        self._close_connections()
        with self._write_lock.taken():
            return rewrite_database(self.engine)

    def let_go(self) -> None:
        """Close the database's files until somebody asks for something again."""
        self._close_connections()
        self._lazy.dispose()
        self.engine.dispose()

    def close(self) -> None:
        """Give all connections back."""
        self.notifier.close()
        self.let_go()
        self._write_lock.close()

    def _close_connections(self) -> None:
        self._readers.close()
        self._writer.let_go()

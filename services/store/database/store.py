"""Store: opens the database and runs functions in read and write transactions.

``Store`` gives a connection to functions of the table modules, such as ``services.store.messages``.
"""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.config.storage_layout import DATABASE
from services.core.errors import StorageUnwell
from services.store.database import time_limits
from services.store.database.engine import deferred_sync_engine, open_engine
from services.store.database.migrate import is_current, migrate
from services.store.database.notifier import Notifier
from services.store.database.notifier_socket import SocketNotifier
from services.store.database.persistent_connections import PersistentConnections
from services.store.database.secure_delete import rewrite_database
from services.store.database.sqlite_files import DatabaseFile, LogSize
from services.store.database.time_limits import MAINTENANCE_SECONDS, TimeLimits
from services.store.database.write_lock import WriteLock
from services.store.database.writer import Writer, unwell

T = TypeVar("T")
READERS = 4


class Store:
    """The database, SQLite or PostgreSQL, behind one interface."""

    def __init__(self, database_url: str | None, storage: Path) -> None:
        """Connect to PostgreSQL at ``database_url``, or to SQLite in the ``storage`` folder."""
        storage.mkdir(parents=True, exist_ok=True)
        self.limits = TimeLimits()
        self.engine = open_engine(database_url, storage)
        self._deferred_engine = deferred_sync_engine(self.engine)
        self.notifier: Notifier = _open_notifier(self.engine, storage)
        self._write_lock = WriteLock(storage / "write.lock")
        self._file = DatabaseFile(storage / DATABASE)
        self._writer = self._open_writer(storage / DATABASE)
        self._readers = PersistentConnections(self.engine, READERS)
        self._migrate_lock = storage / "migrate.lock"

    def _open_writer(self, path: Path) -> Writer:
        engines = (self.engine, self._deferred_engine)
        if self.engine.dialect.name != "sqlite":
            return Writer(*engines, self.notifier, lambda *_: nullcontext(), self.limits)
        for engine in {*engines}:
            self._file.watch(engine)
        return Writer(
            *engines,
            self.notifier,
            self._write_lock.held,
            self.limits,
            check=self._file.require,
            tidy=LogSize(self.engine, path).look,
        )

    def migrate(self) -> None:
        """Bring the schema up to date; several processes may try at the same time.

        Raises ``StorageUnwell`` if the database cannot be reached or is not a database.
        """
        try:
            # Also to look: the first process makes the file.
            with time_limits.patient(), FileLock(self._migrate_lock):
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

        def allowed(tx: Connection) -> T:
            time_limits.allow(tx)
            return work(tx)

        try:
            with time_limits.operation(self.limits.read) as seconds:
                if self._readers:
                    with suppress(DBAPIError):  # a kept connection that the server has closed
                        return self._readers.run(allowed)
                if time_limits.left() <= seconds / 2:
                    raise StorageUnwell("The database does not answer.")
                return self._readers.run(allowed)
        except (DBAPIError, PoolTimeout) as error:
            raise unwell(error) from error

    def require_file(self) -> None:
        """Raise ``StorageUnwell`` if SQLite's file was removed or replaced since it was opened."""
        self._file.require()

    def rewrite_files(self) -> bool:
        """Remove deleted data from SQLite's files, see ``secure_delete.rewrite_database``.

        Writers wait meanwhile. PostgreSQL does this by itself.
        """
        if self.engine.dialect.name != "sqlite":
            return True
        self._close_connections()
        with self._write_lock.held(MAINTENANCE_SECONDS, MAINTENANCE_SECONDS):
            return rewrite_database(self.engine)

    def disconnect(self) -> None:
        """Close the database's files and connections; the next use opens them again."""
        self._close_connections()
        self._deferred_engine.dispose()
        self.engine.dispose()
        self._file.forget()

    def close(self) -> None:
        """Close everything for good."""
        self.notifier.close()
        self.disconnect()
        self._write_lock.close()

    def _close_connections(self) -> None:
        self._readers.close()
        self._writer.close()


def _open_notifier(engine: Engine, storage: Path) -> Notifier:
    if engine.dialect.name != "postgresql":
        return SocketNotifier(storage)
    # It loads its driver: 5 MB of memory.
    from services.store.database.notifier_postgres import PostgresNotifier  # noqa: PLC0415

    return PostgresNotifier(engine)

"""SQLAlchemy engines for SQLite and PostgreSQL, with the settings for durability and speed."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from services.config.storage_layout import DATABASE
from services.store.database import time_limits
from services.store.database.compiled_statements import CompiledStatement

try:  # brings a newer SQLite than most systems have: up to 3.51.2 the WAL can be corrupted
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # pragma: no cover - depends on the platform
    import sqlite3 as sqlite

# SQLite's own wait blocks the whole process, so it is short, and ``_begin_sqlite`` waits longer.
# Without a write-ahead log readers wait for every commit.
BUSY_MILLISECONDS = 100
BUSY_MILLISECONDS_WITHOUT_LOG = 1000
LOCKED_POLL_SECONDS = 0.02
LOCKED_SECONDS = 10.0  # also for an operation that may take longer itself
WAL_PAGES = 4000  # 16 MB between two checkpoints: more would be no faster, less is slower
WRITE = "textbridge_write"
_BEGIN = CompiledStatement(lambda _: text("BEGIN").columns())
_BEGIN_WRITING = CompiledStatement(lambda _: text("BEGIN IMMEDIATE").columns())
# Versions in which the bug of the write-ahead log is fixed, https://sqlite.org/wal.html#walresetbug:
# from the first one on, and the last releases of two older branches.
FIXED_SINCE = (3, 51, 3)
FIXED_BRANCHES = ((3, 44, 6), (3, 50, 7))


def open_engine(database_url: str | None, storage: Path) -> Engine:
    """An engine for PostgreSQL, or for SQLite in the storage folder. Connects on first use."""
    if database_url:
        return _open_postgres(database_url)
    return _open_sqlite(f"sqlite:///{storage / DATABASE}")


def deferred_sync_engine(engine: Engine) -> Engine:
    """An engine on the same database whose commits need not wait for the disk.

    Its commits stay in order and are on the disk with the next commit of ``engine``. It is used for
    processing the inbox, for leases of pushes and for recording accepted pushes. Only SQLite with a
    write-ahead log has such an engine: a power cut that undoes the commit also ends the worker. A
    worker may outlive PostgreSQL's server, and a lease that the server has lost would never end;
    therefore PostgreSQL uses ``engine`` itself.

    It has its own connections: the mode of a connection is never changed.
    """
    if engine.dialect.name != "sqlite" or sqlite_fault():
        return engine
    deferred = _open_sqlite(engine.url)
    event.listen(deferred, "connect", _prepare_deferred_sqlite)
    return deferred


def _open_postgres(database_url: str) -> Engine:
    # It loads its driver: 5 MB of memory.
    from services.store.database import postgres_connection  # noqa: PLC0415

    engine = create_engine(
        postgres_address(database_url),
        pool_size=8,
        max_overflow=8,
        pool_timeout=postgres_connection.POOL_SECONDS,
    )
    postgres_connection.limit(engine)
    return engine


def _open_sqlite(url: URL | str) -> Engine:
    driver: ModuleType = sqlite
    engine = create_engine(url, module=driver)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def postgres_address(url: str) -> str:
    """A PostgreSQL URL with the scheme that selects SQLAlchemy's driver psycopg.

    ``url`` may have any usual scheme, such as ``postgres://``.
    """
    _, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}"


def sqlite_version() -> str:
    """The version of the SQLite library in use."""
    return str(sqlite.sqlite_version)


def sqlite_fault() -> str:
    """Why this SQLite is used without a write-ahead log, with the remedy; empty if it is not."""
    version = sqlite_version()
    numbers = tuple(int(part) for part in version.split("."))
    if numbers >= FIXED_SINCE or any(
        fixed[:2] == numbers[:2] and numbers >= fixed for fixed in FIXED_BRANCHES
    ):
        return ""
    return (
        f"SQLite {version} can corrupt its write-ahead log, so Textbridge works without one, which "
        f"is slower. Install SQLite {'.'.join(map(str, FIXED_SINCE))} or newer (docs/backup.md)."
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # ``_begin_sqlite`` begins transactions
    journal, flush, wait = "WAL", "FULL", BUSY_MILLISECONDS
    if sqlite_fault():
        journal, flush, wait = "DELETE", "EXTRA", BUSY_MILLISECONDS_WITHOUT_LOG
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={wait}")
    cursor.execute(f"PRAGMA journal_mode={journal}")
    cursor.execute(f"PRAGMA synchronous={flush}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _prepare_deferred_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; for writing with SQLite's lock, which a later write might not get.

    Programs other than Textbridge do not use ``WriteLock``: for these it waits as long as the time
    limit of the operation allows, and lets other requests of the process continue.
    """
    if not connection.get_execution_options().get(WRITE):
        _BEGIN.change(connection)
        return
    end = time.monotonic() + min(time_limits.left(), LOCKED_SECONDS)
    while True:
        try:
            _BEGIN_WRITING.change(connection)
            return
        except OperationalError as error:
            if not _is_locked(error) or time.monotonic() >= end:
                raise
        time.sleep(LOCKED_POLL_SECONDS)


def _is_locked(error: OperationalError) -> bool:
    """Whether another program holds SQLite's lock; https://www.sqlite.org/rescode.html#busy."""
    code: int = getattr(error.orig, "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite.SQLITE_BUSY)

"""The connection to SQLite or PostgreSQL, and what each needs to be durable and quick."""

from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from services.store.database.compiled_statements import CompiledStatement

try:  # a newer SQLite than most systems carry: up to 3.51.2 its WAL can be corrupted
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # pragma: no cover - depends on the platform
    import sqlite3 as sqlite

BUSY_MILLISECONDS = 3000  # for others than us, who know whose turn it is
WAL_PAGES = 4000  # 16 MB between two checkpoints: most of what one writes back is written again
WRITE = "textbridge_write"
_BEGIN = CompiledStatement(lambda _: text("BEGIN").columns())
_BEGIN_WRITING = CompiledStatement(lambda _: text("BEGIN IMMEDIATE").columns())
# Where the fault of the write-ahead log is mended, https://sqlite.org/wal.html#walresetbug: from
# this version on, and in the last releases of two older lines.
SOUND = (3, 51, 3)
SOUND_TOO = ((3, 44, 6), (3, 50, 7))


def open_engine(database_url: str | None, storage: Path) -> Engine:
    """Connect lazily to PostgreSQL, or to SQLite in the storage folder."""
    if database_url:
        return create_engine(
            postgres_address(database_url), pool_pre_ping=True, pool_size=8, max_overflow=8
        )
    return _open_sqlite(f"sqlite:///{storage / 'textbridge.db'}")


def deferred_sync_engine(engine: Engine) -> Engine:
    """An engine on the same database whose commits need not wait for the disk.

    What it commits stays in order and is on the disk with the next commit of the other one. Only
    SQLite's does so, and with a write-ahead log only: a power cut that undoes a commit has ended
    whoever made it. A worker outlives PostgreSQL's server and would hold a lease for ever.

    It has connections of its own: how a connection commits is never changed.
    """
    if engine.dialect.name != "sqlite" or sqlite_fault():
        return engine
    lazy = _open_sqlite(engine.url)
    event.listen(lazy, "connect", _prepare_lazy_sqlite)
    return lazy


def _open_sqlite(url: URL | str) -> Engine:
    driver: ModuleType = sqlite
    engine = create_engine(url, module=driver)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def postgres_address(written: str) -> str:
    """The address with SQLAlchemy's name of the driver, whichever usual spelling came in."""
    _, _, rest = written.partition("://")
    return f"postgresql+psycopg://{rest}"


def sqlite_version() -> str:
    """The version of the SQLite library in use."""
    return str(sqlite.sqlite_version)


def sqlite_fault() -> str:
    """Why this SQLite is used without a write-ahead log, and the remedy; empty for a sound one."""
    version = sqlite_version()
    numbers = tuple(int(part) for part in version.split("."))
    if numbers >= SOUND or any(one[:2] == numbers[:2] and numbers >= one for one in SOUND_TOO):
        return ""
    return (
        f"SQLite {version} can corrupt its write-ahead log, so Textbridge works without one, which "
        f"is slower. Install SQLite {'.'.join(map(str, SOUND))} or newer (docs/backup.md)."
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    journal, flush = ("DELETE", "EXTRA") if sqlite_fault() else ("WAL", "FULL")
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute(f"PRAGMA journal_mode={journal}")
    cursor.execute(f"PRAGMA synchronous={flush}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _prepare_lazy_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock at once: a transaction that begins to write later fails instead."""
    writes = connection.get_execution_options().get(WRITE)
    (_BEGIN_WRITING if writes else _BEGIN).change(connection)

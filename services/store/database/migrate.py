"""Runs the database migrations (numbered Alembic scripts) when the first process starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from services.core.errors import StorageUnwell

SCRIPTS = Path(__file__).parent / "migrations"
LOCKED_TABLE_SECONDS = "'10s'"  # a statement that waits for a table keeps all others from it
LOCK_KEY = 7_239_817_231  # of PostgreSQL's advisory lock; any number that nothing else uses


def head() -> str:
    """The newest revision: the number of the newest script."""
    return max(path.name[:4] for path in (SCRIPTS / "versions").glob("[0-9]*.py"))


def version(engine: Engine) -> str:
    """The revision of the newest migration in the database; empty before the first one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")) or "")


def is_current(engine: Engine) -> bool:
    """Whether the database has exactly the migrations of this version."""
    return version(engine) == head()


def migrate(engine: Engine) -> None:
    """Run the missing migrations in one transaction.

    Raises ``StorageUnwell`` for a database that a newer Textbridge has migrated. The caller holds a
    lock against other processes of this machine; other machines wait for PostgreSQL's lock.
    """
    from alembic import command  # noqa: PLC0415 - 15 MB of memory that a process seldom needs
    from alembic.config import Config  # noqa: PLC0415 - the same

    found = version(engine)
    if found > head():
        raise StorageUnwell(
            f"The database belongs to a newer Textbridge: it has migration {found}, this one knows "
            f"up to {head()}. Upgrade this machine, or go back to the copy from before the "
            "upgrade: docs/install.md, “Back to the version before”."
        )
    with engine.connect() as connection, _exclusive(connection):
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _exclusive(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        # Alembic rebuilds tables; with foreign keys on, that would delete the rows that refer to
        # them. The pragma has no effect inside a transaction, so the driver's connection is used.
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            yield
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
    else:
        _set(connection, "0")  # another node may take long
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        connection.commit()
        _set(connection, "0", lock=LOCKED_TABLE_SECONDS)
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
            _set(connection, "DEFAULT")
            connection.commit()


def _set(connection: Connection, value: str, lock: str = "") -> None:
    """Set PostgreSQL's time limits of this connection."""
    for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
        chosen = lock if lock and name == "lock_timeout" else value
        connection.execute(text(f"SET {name} = {chosen}"))
    connection.commit()

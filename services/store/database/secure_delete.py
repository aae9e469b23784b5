"""Secure deletion in SQLite: its files contain deleted data until the space is used again."""

from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, text

from services.core.errors import StorageUnwell

# FTS5 can remove the words of a deleted row from its index since this version:
# https://www.sqlite.org/fts5.html#the_secure_delete_configuration_option
SECURE_DELETE_SINCE = (3, 42, 0)


def erase_words(tx: Connection, on: bool) -> None:
    """From the next transaction on, remove the words of deleted rows from SQLite's search index.

    Without it they are only marked as deleted there. PostgreSQL needs nothing.
    """
    driver: Any = tx.dialect.dbapi
    if tx.dialect.name == "sqlite" and driver.sqlite_version_info >= SECURE_DELETE_SINCE:
        option = "INSERT INTO search_index (search_index, rank) VALUES ('secure-delete', :on)"
        tx.execute(text(option), {"on": int(on)})


def rewrite_database(engine: Engine) -> bool:
    """Rewrite SQLite's file (``VACUUM``) and empty its write-ahead log, which has old pages.

    Returns false if a reader was using the log, so that it could not be emptied. Raises
    ``StorageUnwell``: it needs free space as large as the database.
    """
    sqlite: Any = engine.dialect.dbapi
    try:
        with closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
    except sqlite.Error as error:
        raise StorageUnwell(f"The database cannot be rewritten: {error}.") from error
    return not busy

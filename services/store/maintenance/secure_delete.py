"""Deleting for good: SQLite leaves what was deleted in its files until it needs the room."""

from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, text

from services.core.errors import StorageUnwell

WORDS_ERASED = (3, 42, 0)  # SQLite can take words out of its search index since this version


def erase_words(tx: Connection, on: bool) -> None:
    """From the next transaction on, take the words of what is deleted out of SQLite's index.

    Otherwise they are only marked there. PostgreSQL needs no telling.
    """
    driver: Any = tx.dialect.dbapi
    if tx.dialect.name == "sqlite" and driver.sqlite_version_info >= WORDS_ERASED:
        option = "INSERT INTO search_index (search_index, rank) VALUES ('secure-delete', :on)"
        tx.execute(text(option), {"on": int(on)})


def rewrite_database(engine: Engine) -> bool:
    """Write SQLite's file anew and empty its log, which has pages as they were.

    False where somebody was just reading from the log. Raises ``StorageUnwell``: it takes as much
    room again as the database.
    """
    sqlite: Any = engine.dialect.dbapi
    try:
        with closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
    except sqlite.Error as error:
        raise StorageUnwell(f"The database cannot be written anew: {error}.") from error
    return not busy

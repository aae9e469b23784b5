"""Databases with all tables for tests, copied from one that was migrated once per test process.

A test of migrations starts from an empty database instead: an empty folder, or the fixture
``empty_postgres_url``.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from services.store.database.store import Store
from tests.postgres import new_database

FILE = "textbridge.db"


def add_tables(folder: Path) -> None:
    """Put a migrated SQLite database into a storage folder, unless it has a database."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / FILE).exists():
        (folder / FILE).write_bytes(_migrated_sqlite())


@cache
def postgres_template(maintenance: str) -> str:
    """The name of a migrated database on this server, to be the template of others."""
    url = new_database(maintenance)
    folder = Path(tempfile.mkdtemp(prefix="textbridge-template-"))
    try:
        store = Store(url, folder)
        store.migrate()
        store.close()
    finally:
        shutil.rmtree(folder)
    return url.rpartition("/")[2]


@cache
def _migrated_sqlite() -> bytes:
    folder = Path(tempfile.mkdtemp(prefix="textbridge-template-"))
    try:
        store = Store(None, folder)
        store.migrate()
        store.close()
        assert [path.name for path in folder.glob(f"{FILE}*")] == [FILE]  # all is in one file
        return (folder / FILE).read_bytes()
    finally:
        shutil.rmtree(folder)

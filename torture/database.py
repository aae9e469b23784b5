"""Queries of a test server's SQLite database: stored texts, reply statuses, open jobs."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

# The carrier's message id of a text is this prefix and the number of the text.
MESSAGE_ID_PREFIX = "1772442904003"


def query(storage: Path, statement: str) -> list[Any]:
    """The rows of a query in the database of a storage folder."""
    with closing(sqlite3.connect(storage / "textbridge.db")) as database:
        return database.execute(statement).fetchall()


def integrity_check(storage: Path) -> str:
    """The result of SQLite's integrity check: ``ok`` for an intact database."""
    return str(query(storage, "PRAGMA integrity_check")[0][0])


def stored_texts(storage: Path) -> list[int]:
    """The numbers of all stored inbound texts; a text that is stored twice is there twice.

    The messages of ``bench.seed_data`` are left out.
    """
    inbound = "direction = 'in' AND provider_id NOT LIKE 'old-%'"
    found = query(storage, f"SELECT provider_id FROM messages WHERE {inbound}")
    return [int(row[0].removeprefix(MESSAGE_ID_PREFIX)) for row in found]


def reply_statuses(storage: Path) -> dict[str, str]:
    """The status of every stored reply, by its text."""
    return dict(query(storage, "SELECT text, status FROM messages WHERE direction = 'out'"))


def open_jobs(storage: Path, kind: str) -> int:
    """How many jobs of a kind are due or leased."""
    live = f"SELECT count(*) FROM jobs WHERE kind = '{kind}' AND state IN ('due', 'leased')"
    return int(query(storage, live)[0][0])

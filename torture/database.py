"""Queries of a test server's SQLite database: stored texts, reply statuses, open jobs."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
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


TEXTS = "SELECT provider_id FROM messages WHERE direction = 'in' AND provider_id NOT LIKE 'old-%'"
INBOX_SECONDS = 10.0  # in which a living worker processes something


def stored_texts(storage: Path) -> list[int]:
    """The numbers of all stored inbound texts; a text that is stored twice is there twice.

    Waits until the server has processed its inbox; what a server that was stopped has left there
    counts as well. The messages of ``bench.seed_data`` are left out.
    """
    wait_for_empty_inbox(lambda: int(query(storage, "SELECT count(*) FROM inbox")[0][0]))
    stored = text_numbers(row[0] for row in query(storage, TEXTS))
    return [*stored, *sorted(kept_texts(storage).difference(stored))]


def kept_texts(storage: Path) -> set[int]:
    """The numbers of all texts that are stored or in the inbox, without a wait."""
    inbox = {number for (body,) in query(storage, "SELECT body FROM inbox") for number in _in(body)}
    return inbox.union(text_numbers(row[0] for row in query(storage, TEXTS)))


def text_numbers(provider_ids: Iterable[str]) -> list[int]:
    """The numbers of texts by the carrier's ids."""
    return [int(one.removeprefix(MESSAGE_ID_PREFIX)) for one in provider_ids]


def wait_for_empty_inbox(count: Callable[[], int]) -> None:
    """Wait until ``count`` is 0, as long as it changes."""
    left, since = count(), time.monotonic()
    while left and time.monotonic() - since < INBOX_SECONDS:
        time.sleep(0.05)
        now = count()
        if now != left:
            left, since = now, time.monotonic()


def _in(body: bytes) -> list[int]:
    """The numbers of the texts in a call of Bandwidth; a receipt for a reply counts as none."""
    events = json.loads(body)
    return text_numbers(
        event["message"]["id"] for event in events if event["type"] == "message-received"
    )


def reply_statuses(storage: Path) -> dict[str, str]:
    """The status of every stored reply, by its text."""
    return dict(query(storage, "SELECT text, status FROM messages WHERE direction = 'out'"))


def open_jobs(storage: Path, kind: str) -> int:
    """How many jobs of a kind are due or leased."""
    live = f"SELECT count(*) FROM jobs WHERE kind = '{kind}' AND state IN ('due', 'leased')"
    return int(query(storage, live)[0][0])

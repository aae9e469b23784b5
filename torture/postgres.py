"""Queries of a test server's PostgreSQL database, and signals to its processes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from torture.database import text_numbers, wait_for_empty_inbox


def query(url: str, statement: LiteralString) -> list[Any]:
    """The rows of a query."""
    with closing(psycopg.connect(url)) as connection:
        return connection.execute(statement).fetchall()


def stored_texts(url: str) -> list[int]:
    """The numbers of all stored inbound texts; a text that is stored twice is there twice.

    Waits until the server has processed its inbox.
    """
    wait_for_empty_inbox(lambda: int(query(url, "SELECT count(*) FROM inbox")[0][0]))
    found = query(url, "SELECT provider_id FROM messages WHERE direction = 'in'")
    return text_numbers(row[0] for row in found)


def reply_statuses(url: str) -> dict[str, str]:
    """The status of every stored reply, by its text."""
    return dict(query(url, "SELECT text, status FROM messages WHERE direction = 'out'"))


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Stop every process of the PostgreSQL server, as ``SIGSTOP`` does, and continue them."""
    ((folder,),) = query(url, "SELECT setting FROM pg_settings WHERE name = 'data_directory'")
    first = int(Path(folder, "postmaster.pid").read_text().split()[0])
    processes = [first, *_children(first)]
    _signal(processes, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(processes, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(found) for found in listed.stdout.split()]


def _signal(processes: list[int], number: int) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

"""Whose turn it is to write to SQLite, among the processes of one storage folder.

SQLite itself polls for its lock in steps of milliseconds and blocks the whole process meanwhile. A
file lock wakes the next in line at once, and here it lets the other requests of the process go on,
so that they gather for the next commit.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from gevent import monkey


class Turn:
    """A lock between processes; within a process one thread or greenlet at a time uses it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn and hold it; a process that dies gives it up."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _wait(self) -> None:
        if monkey.is_module_patched("threading"):
            gevent.get_hub().threadpool.apply(fcntl.flock, (self._file, fcntl.LOCK_EX))
        else:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

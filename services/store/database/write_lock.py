"""Whose turn it is to write to SQLite, among the processes of one storage folder.

SQLite itself polls for its lock in steps of milliseconds and blocks the whole process meanwhile.
Waiting here lets the other requests of the process go on, so that they gather for the next commit.
"""

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.core.errors import StorageUnwell

LOOK_SECONDS = 0.02  # without being told: whoever had the turn may have died
MOST_SECONDS = 5.0  # together with SQLite's own wait still within what carriers wait


class WriteLock:
    """A lock between processes; within a process one thread or greenlet at a time uses it.

    Whoever gives it up says so in a pipe beside it, which wakes those who wait.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        told = path.parent / "run" / "write.told"
        told.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(told, 0o600)
        self._told = os.open(told, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn and hold it; a process that dies gives it up.

        Raises ``StorageUnwell`` when it does not come.
        """
        end = time.monotonic() + MOST_SECONDS
        while not self._try():
            if time.monotonic() > end:
                raise StorageUnwell("Another process has been writing for too long.")
            self._wait()
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            with suppress(BlockingIOError):  # full: it wakes whoever comes anyway
                os.write(self._told, b"!")

    def _wait(self) -> None:
        select.select([self._told], [], [], LOOK_SECONDS)
        with suppress(BlockingIOError):  # somebody else was woken, too
            os.read(self._told, 4096)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the files back."""
        os.close(self._file)
        os.close(self._told)

"""Lock between processes for writing to SQLite in one storage folder.

SQLite itself polls for its lock in steps of milliseconds and blocks the whole process meanwhile.
Waiting for this lock lets the other requests of the process continue, so that they can join the
next commit.
"""

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.core.errors import StorageUnwell

POLL_SECONDS = 0.02  # also without a signal: the process that held the lock may have died
TIMEOUT_SECONDS = 5.0  # with SQLite's own timeout still shorter than what carriers wait


class WriteLock:
    """A file lock; within a process only one thread or greenlet at a time may use it.

    Who releases it writes to a named pipe (FIFO) beside it, which wakes those who wait.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        released = path.parent / "run" / "write.released"
        released.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(released, 0o600)
        self._released = os.open(released, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Acquire the lock, hold it during the block and release it.

        The operating system releases it for a process that dies. Raises ``StorageUnwell`` after
        ``TIMEOUT_SECONDS``.
        """
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self._try():
            if time.monotonic() > end:
                raise StorageUnwell("Another process has been writing for too long.")
            self._wait()
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            with suppress(BlockingIOError):  # the pipe is full: it wakes the others in any case
                os.write(self._released, b"!")

    def _wait(self) -> None:
        select.select([self._released], [], [], POLL_SECONDS)
        with suppress(BlockingIOError):  # another process has read the signal first
            os.read(self._released, 4096)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Close the lock file and the pipe."""
        os.close(self._file)
        os.close(self._released)

"""Lock between processes for writing to SQLite in one storage folder.

SQLite itself polls for its lock in steps of milliseconds and blocks the whole process meanwhile.
Waiting for this lock lets the other requests of the process continue, so that they can join the
next commit.
"""

import fcntl
import math
import os
import select
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from services.core.errors import StorageUnwell

log = structlog.get_logger()

POLL_SECONDS = 0.02  # also without a signal: the process that held the lock may have died
STOPPED_SECONDS = 1.5  # how long a process that a signal has stopped may hold the lock
# Process id; since when, by the machine's monotonic clock; for how many seconds it may hold it.
_HOLDER = struct.Struct("=qdd")


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
    def held(self, seconds: float, allowed: float) -> Iterator[None]:
        """Acquire the lock, hold it during the block and release it.

        The operating system releases it for a process that dies. One that is stopped, or holds it
        for longer than ``allowed`` seconds, is killed by those who wait. Raises ``StorageUnwell``
        when the lock is not free within ``seconds``.
        """
        end = time.monotonic() + seconds
        while not self._try():
            if time.monotonic() > end and not self._end_hung_holder():
                raise StorageUnwell("Another process has been writing for too long.")
            self._wait()
        self._note_holder(os.getpid(), allowed)
        try:
            yield
        finally:
            self._note_holder(0, 0.0)
            fcntl.flock(self._file, fcntl.LOCK_UN)
            with suppress(BlockingIOError):  # the pipe is full: it wakes the others in any case
                os.write(self._released, b"!")

    def _note_holder(self, pid: int, allowed: float) -> None:
        with suppress(OSError):  # on a full disk: then nobody is killed
            os.pwrite(self._file, _HOLDER.pack(pid, time.monotonic(), allowed), 0)

    def _end_hung_holder(self) -> bool:
        """Kill the process that holds the lock if it hangs; whether it did.

        SQLite survives this as it survives every kill, and gunicorn starts another process.
        """
        noted = os.pread(self._file, _HOLDER.size, 0)
        if len(noted) < _HOLDER.size:
            return False
        pid, since, allowed = _HOLDER.unpack(noted)
        state = _state(pid)  # see proc_pid_stat(5); what waits for its disk (D) does not hang
        allowed = {"T": STOPPED_SECONDS, "t": STOPPED_SECONDS, "D": math.inf}.get(state, allowed)
        if time.monotonic() - since < allowed or pid != self._holder_by_kernel():
            return False
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            log.error("a process that hung while it was writing was killed", pid=pid)
            return True
        return False

    def _holder_by_kernel(self) -> int | None:
        """The process that has locked the file, see proc_locks(5)."""
        inode = os.fstat(self._file).st_ino
        with suppress(OSError):
            for line in Path("/proc/locks").read_text("ascii").splitlines():
                fields = line.split()  # such as: 1: FLOCK ADVISORY WRITE 4711 fe:01:1234 0 EOF
                if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
                    return int(fields[4])
        return None

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


def _state(pid: int) -> str:
    """The state of a process, one letter; empty if it is gone or the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""

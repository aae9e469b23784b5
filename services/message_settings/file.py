"""Message Settings in a JSON file that people may edit by hand.

Writers take a lock, write beside, flush to the disk and rename, so that a reader never sees half a
file.
"""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


class SettingsFile:
    """The file, and beside it the lock that those who write take."""

    remedy = "Mend the file first."
    fresh_seconds = 0.0  # a look at the file costs nothing

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._lock = FileLock(path.with_suffix(".lock"))

    def version(self) -> tuple[int, int, int] | None:
        """What tells one state of the file from another; ``None`` where there is no file."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def read(self) -> bytes | None:
        """The content, or ``None`` where there is no file. Raises ``OSError``."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, change: Callable[[bytes | None], bytes]) -> None:
        """Write what ``change`` makes of the content, durably. Raises ``OSError``."""
        with self._lock:
            replace_file(self._path, change(self.read()))


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place whole and durably, or not at all."""
    beside = path.with_suffix(f".{os.getpid()}.new")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        beside.unlink(missing_ok=True)
        raise

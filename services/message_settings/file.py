"""``SettingsFile``: the Message Settings document as a JSON file that may be edited by hand.

A writer locks the file, writes a new one beside it, flushes it to disk and renames it, so that a
reader never sees a partly written document.
"""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from services.core.errors import StorageUnwell


class SettingsFile:
    """The file, and beside it a lock file that excludes other writers (a ``Source``)."""

    remedy = "Fix the file first."
    fresh_seconds = 0.0  # asking the file system for the version costs next to nothing

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._lock = FileLock(path.with_suffix(".lock"))

    def version(self) -> tuple[int, int, int] | None:
        """Modification time (ns), size and inode of the file; ``None`` if there is no file."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def read(self) -> bytes | None:
        """The content, or ``None`` if there is no file. Raises ``OSError``."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content by ``change(content)``, durably.

        Raises ``StorageUnwell`` with the reason where the disk is full or may not be written.
        """
        try:
            with self._lock:
                replace_file(self._path, change(self.read()))
        except OSError as error:
            raise StorageUnwell(
                f"{self.name} cannot be saved ({error.strerror}), and is as it was. Give the "
                "storage folder free space, or the right to write there."
            ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably. Raises ``OSError``; then the old file is intact."""
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)  # the rename is durable once the folder is
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        new.unlink(missing_ok=True)
        raise

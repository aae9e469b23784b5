"""SQLite's files: whether the open one is still in its place, and free space on a small disk."""

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from services.core.errors import StorageUnwell

# Below this much free space the write-ahead log is kept small. It is several times as large as the
# log becomes otherwise (``WAL_PAGES``).
SHORT_BYTES = 64_000_000
LOOK_SECONDS = 1.0


class DatabaseFile:
    """The database file at its path, which may be deleted, replaced or mounted over.

    The system goes on writing to the file that was opened, which nobody can find any more. What is
    in the file that is there now is not looked at: processes know too much of the old one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None  # device and inode

    def watch(self, engine: Engine) -> None:
        """Let no connection of an engine open another file than the first one did."""
        event.listen(engine, "do_connect", lambda *_: self.require())
        event.listen(engine, "connect", lambda *_: self._note())

    def require(self) -> None:
        """Raise ``StorageUnwell`` if the open file is not the one at its path any more."""
        if self._opened is not None and self._found() != self._opened:
            raise StorageUnwell(
                f"{self._path} was removed or replaced while Textbridge uses it. Put the storage "
                "folder back in its place, or start Textbridge again to use what is there now."
            )

    def forget(self) -> None:
        """All connections are closed: the next one may open another file."""
        self._opened = None

    def _note(self) -> None:
        self._opened = self._opened or self._found()

    def _found(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - half the time of ``Path.stat``
        except OSError:
            return None
        return status.st_dev, status.st_ino


class LogSize:
    """Keeps the write-ahead log small where the disk is nearly full.

    The log grows to 16 MB before SQLite writes it into the database, which needs as much space
    again in the worst case. On a disk without this space neither could go on any more.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._folder = path.parent
        self._log = path.with_name(f"{path.name}-wal")
        self._is_short = False
        self._next_look = 0.0

    def look(self) -> None:
        """Empty the log if it has more than half of the free space; the caller may write."""
        now = time.monotonic()
        if now < self._next_look and not self._is_short:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            disk = os.statvfs(self._folder)
            free = disk.f_bavail * disk.f_frsize
            self._is_short = free < SHORT_BYTES
            if self._is_short and self._log.stat().st_size > free // 2:
                self._empty()
        except OSError:
            pass  # there is no log, or no folder: the next write tells

    def _empty(self) -> None:
        sqlite: Any = self._engine.dialect.dbapi
        try:
            with (
                closing(self._engine.raw_connection()) as connection,
                closing(connection.cursor()) as cursor,
            ):
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (sqlite.Error, StorageUnwell):
            pass  # the disk is full: the next write tries again

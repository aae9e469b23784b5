"""Attachments in a local folder."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from services.core.errors import StorageUnwell
from services.media.backend import (
    FILE_ID,
    BackendFile,
    MediaBackend,
    missing_error,
    too_large_error,
)
from services.media.kinds import HEAD_BYTES

INCOMPLETE_SUFFIX = ".part"


class Folder(MediaBackend):
    """Files in one folder, in subfolders by the last two characters of their ids."""

    def __init__(self, path: Path) -> None:
        self._folder = path

    def put(self, file_id: str, chunks: Iterable[bytes], max_bytes: int) -> BackendFile:
        """Write a file to the disk, see ``MediaBackend.put``."""
        path = self._path(file_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(INCOMPLETE_SUFFIX, dir=path.parent)
            incomplete = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    head, size = _copy(chunks, file, max_bytes)
                incomplete.replace(path)
            finally:
                incomplete.unlink(missing_ok=True)
            _fsync_folder(path.parent)
            _fsync_folder(self._folder)
        except OSError as error:
            raise StorageUnwell(f"An attachment cannot be kept: {error.strerror}.") from error
        return BackendFile(path, head, size)

    def open(self, file_id: str) -> Path:
        """The path of a file, see ``MediaBackend.open``."""
        path = self._path(file_id)
        if not path.is_file():
            raise missing_error()
        return path

    def exists(self, file_id: str) -> bool:
        """Whether there is a file, see ``MediaBackend.exists``."""
        return self._path(file_id).is_file()

    def remove(self, file_id: str) -> None:
        """Delete a file, see ``MediaBackend.remove``."""
        try:
            self._path(file_id).unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnwell(f"An attachment cannot be removed: {error.strerror}.") from error

    def sweep(self, older_than_seconds: float) -> int:
        """Delete incomplete files, see ``MediaBackend.sweep``."""
        swept = 0
        try:
            for incomplete in self._folder.glob(f"*/*{INCOMPLETE_SUFFIX}"):
                with suppress(FileNotFoundError):  # its upload has ended meanwhile
                    if incomplete.stat().st_mtime < time.time() - older_than_seconds:
                        incomplete.unlink()
                        swept += 1
        except OSError as error:
            raise StorageUnwell(f"The attachments cannot be tidied: {error.strerror}.") from error
        return swept

    def problem(self, *, thorough: bool = False) -> str:
        """Always empty: the check of the disk covers this folder."""
        return ""

    def files(self) -> Iterator[Path]:
        """The paths of all complete files; the name of a file is its id."""
        return (path for path in self._folder.glob("*/*") if FILE_ID.fullmatch(path.name))

    def _path(self, file_id: str) -> Path:
        return self._folder / file_id[-2:] / file_id


def _copy(chunks: Iterable[bytes], file: IO[bytes], max_bytes: int) -> tuple[bytes, int]:
    """Write and fsync a file; returns its first bytes and its size in bytes."""
    head, size = b"", 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise too_large_error(max_bytes)
        file.write(chunk)
        head += chunk[: HEAD_BYTES - len(head)]
    file.flush()
    os.fsync(file.fileno())
    return head, size


def _fsync_folder(folder: Path) -> None:
    """Fsync a folder, so that new file names survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

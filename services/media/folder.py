"""Attachments in a folder on this machine's disk."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from services.core.errors import StorageUnwell
from services.media.backend import FILE_ID, MediaBackend, Written, missing, too_large
from services.media.kinds import HEAD_BYTES

UNFINISHED = ".part"


class Folder(MediaBackend):
    """Files in one folder, below it by the last two letters of their ids."""

    def __init__(self, path: Path) -> None:
        self._folder = path

    def put(self, file_id: str, chunks: Iterable[bytes], most: int) -> Written:
        """Write a file to the disk, see ``Place.put``."""
        path = self._path(file_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, written = tempfile.mkstemp(UNFINISHED, dir=path.parent)
            unfinished = Path(written)
            try:
                with os.fdopen(handle, "wb") as file:
                    head, size = _copy(chunks, file, most)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
            _flush_folder(path.parent)
            _flush_folder(self._folder)
        except OSError as error:
            raise StorageUnwell(f"An attachment cannot be kept: {error.strerror}.") from error
        return Written(path, head, size)

    def open(self, file_id: str) -> Path:
        """Where a file is, see ``Place.open``."""
        path = self._path(file_id)
        if not path.is_file():
            raise missing()
        return path

    def remove(self, file_id: str) -> None:
        """Delete a file, see ``Place.remove``."""
        try:
            self._path(file_id).unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnwell(f"An attachment cannot be removed: {error.strerror}.") from error

    def sweep(self, older_than_seconds: float) -> int:
        """Delete what a crash left half written, see ``Place.sweep``."""
        swept = 0
        try:
            for unfinished in self._folder.glob(f"*/*{UNFINISHED}"):
                with suppress(FileNotFoundError):  # finished meanwhile
                    if unfinished.stat().st_mtime < time.time() - older_than_seconds:
                        unfinished.unlink()
                        swept += 1
        except OSError as error:
            raise StorageUnwell(f"The attachments cannot be tidied: {error.strerror}.") from error
        return swept

    def trouble(self, *, thorough: bool = False) -> str:
        """Nothing of its own: whoever watches the disk watches it, too."""
        return ""

    def files(self) -> Iterator[Path]:
        """Every whole file in it; the file's name is its id."""
        return (path for path in self._folder.glob("*/*") if FILE_ID.fullmatch(path.name))

    def _path(self, file_id: str) -> Path:
        return self._folder / file_id[-2:] / file_id


def _copy(chunks: Iterable[bytes], file: IO[bytes], most: int) -> tuple[bytes, int]:
    """Write everything safely to the disk; returns the file's beginning and its size."""
    head, size = b"", 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise too_large(most)
        file.write(chunk)
        head += chunk[: HEAD_BYTES - len(head)]
    file.flush()
    os.fsync(file.fileno())
    return head, size


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

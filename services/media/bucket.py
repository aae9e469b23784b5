"""Attachments in an S3 bucket that several nodes share, with a local cache on each node."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from services.core.errors import MediaError, StorageUnwell
from services.media.backend import BackendFile, MediaBackend
from services.media.folder import Folder
from services.media.s3 import S3

CACHE_SECONDS = 86_400.0  # a copy that was not used for this time is deleted …
CACHE_BYTES = 500_000_000  # … and the oldest copies where the cache is larger than this
IN_USE_SECONDS = 900.0  # but no copy that a mail or a response may still be reading
CHECK_SECONDS = 60.0  # between two checks of the bucket
CHECK_DEADLINE = 3.0


class MigrationResult(StrEnum):
    """The result of copying a local file into the bucket."""

    COPIED = "copied"
    ALREADY = "already"
    DIFFERENT = "different"


class Bucket(MediaBackend):
    """Files in a bucket. ``cache`` holds copies only and can be deleted without loss.

    ``local`` is the folder that stored the attachments before the bucket was configured. A file
    that is not in the bucket yet is read from there.
    """

    def __init__(self, s3: S3, cache: Folder, local: Folder) -> None:
        self._s3 = s3
        self._cache = cache
        self._local = local
        self._last_check = (float("-inf"), "")

    def put(self, file_id: str, chunks: Iterable[bytes], max_bytes: int) -> BackendFile:
        """Store a file in the bucket, see ``MediaBackend.put``."""
        written = self._cache.put(file_id, chunks, max_bytes)
        try:
            self._s3.put(file_id, _read(written.path))
        except StorageUnwell:
            self._cache.remove(file_id)
            raise
        return written

    def open(self, file_id: str) -> Path:
        """The path of a local copy, downloaded if necessary, see ``MediaBackend.open``."""
        copy = self._cached(file_id)
        if copy is not None:
            return copy
        content = self._s3.get(file_id)
        if content is None:
            return self._local.open(file_id)
        return self._cache.put(file_id, [content], len(content)).path

    def _cached(self, file_id: str) -> Path | None:
        try:
            path = self._cache.open(file_id)
            os.utime(path)  # so that the sweep does not delete it while it is read
        except (MediaError, OSError):
            return None
        return path

    def exists(self, file_id: str) -> bool:
        """Whether the bucket has a file, see ``MediaBackend.exists``."""
        return self._s3.head(file_id) is not None or self._local.exists(file_id)

    def remove(self, file_id: str) -> None:
        """Delete a file, see ``MediaBackend.remove``; copies on other nodes go within a day."""
        self._s3.delete(file_id)
        self._cache.remove(file_id)
        self._local.remove(file_id)

    def sweep(self, older_than_seconds: float) -> int:
        """Delete incomplete local files and unused copies, see ``MediaBackend.sweep``.

        A bucket has no incomplete files, because a PUT is atomic.
        """
        incomplete = self._cache.sweep(older_than_seconds) + self._local.sweep(older_than_seconds)
        return incomplete + self._sweep_copies()

    def _sweep_copies(self) -> int:
        now, swept = time.time(), 0
        copies = sorted(_usage(self._cache.files()))
        free = CACHE_BYTES - sum(size for _, size, _ in copies)
        for used, size, path in copies:
            idle = now - used
            if idle > CACHE_SECONDS or (free < 0 and idle > IN_USE_SECONDS):
                self._cache.remove(path.name)
                free += size
                swept += 1
        return swept

    def problem(self, *, thorough: bool = False) -> str:
        """What is wrong with the bucket; the bucket is called at most once a minute.

        A ``thorough`` check runs at once, and also puts, gets and deletes a small file.
        """
        checked_at, trouble = self._last_check
        if thorough or time.monotonic() - checked_at > CHECK_SECONDS:
            try:
                self._write_and_read() if thorough else self._s3.get("check", CHECK_DEADLINE)
                trouble = ""
            except StorageUnwell as error:
                trouble = str(error)
            self._last_check = (time.monotonic(), trouble)
        return trouble

    def _write_and_read(self) -> None:
        name = f"check-{uuid4()}"
        if self._s3.get(name) is not None:
            raise StorageUnwell("The bucket of the attachments has files that nobody put there.")
        self._s3.put(name, name.encode())
        try:
            fetched = self._s3.get(name)
        finally:
            self._s3.delete(name)
        if fetched != name.encode():
            raise StorageUnwell("The bucket of the attachments does not keep what it is given.")

    def files_to_migrate(self) -> list[str]:
        """The ids of the files in the local folder."""
        return sorted(path.name for path in self._local.files())

    def migrate(self, file_id: str) -> tuple[MigrationResult, int]:
        """Copy a file from the local folder into the bucket; returns the result and its size.

        The copy is verified by size and SHA-256. A file in the bucket is never overwritten. Raises
        ``StorageUnwell``, and ``MediaError`` for a local file that was deleted meanwhile.
        """
        content = _read(self._local.open(file_id))
        if self._s3.head(file_id) is None:
            self._s3.put(file_id, content)
            outcome = MigrationResult.COPIED
        else:
            outcome = MigrationResult.ALREADY
        same = self._has(file_id, content)
        return outcome if same else MigrationResult.DIFFERENT, len(content)

    def _has(self, file_id: str, content: bytes) -> bool:
        """Whether the bucket has this file with exactly this content."""
        info = self._s3.head(file_id)
        if info is None or info.size != len(content):
            return False
        if info.sha256 is None:  # another program put it there
            return self._s3.get(file_id) == content
        return info.sha256 == hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageUnwell(f"An attachment cannot be read: {error.strerror}.") from error


def _usage(copies: Iterable[Path]) -> Iterator[tuple[float, int, Path]]:
    """Yield (last use in seconds since 1970, size in bytes, path) for each copy."""
    for path in copies:
        with suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime, status.st_size, path

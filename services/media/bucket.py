"""Attachments in a bucket that several machines share, with a folder of copies on each of them."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from services.core.errors import MediaError, StorageUnwell
from services.media.backend import MediaBackend, Written
from services.media.folder import Folder
from services.media.s3 import S3

CACHE_SECONDS = 86_400.0  # a copy that nobody has asked for so long goes …
CACHE_BYTES = 500_000_000  # … and the oldest ones where there are more than this
IN_USE_SECONDS = 900.0  # but none that a mail or an answer may be reading
LOOK_SECONDS = 60.0  # between two looks whether the bucket is well
LOOK_DEADLINE = 3.0


class Moved(StrEnum):
    """What became of a file that was to be copied into the bucket."""

    COPIED = "copied"
    ALREADY = "already"
    DIFFERENT = "different"


class Bucket(MediaBackend):
    """Files in a bucket. ``cache`` holds copies; nothing is lost with it.

    ``before`` is the folder in which attachments were kept before there was a bucket: what is in
    the bucket not yet is read from there.
    """

    def __init__(self, s3: S3, cache: Folder, before: Folder) -> None:
        self._s3 = s3
        self._cache = cache
        self._before = before
        self._looked = (float("-inf"), "")

    def put(self, file_id: str, chunks: Iterable[bytes], most: int) -> Written:
        """Keep a file: the bucket has taken it when this returns, see ``Place.put``."""
        written = self._cache.put(file_id, chunks, most)
        try:
            self._s3.put(file_id, _read(written.path))
        except StorageUnwell:
            self._cache.remove(file_id)
            raise
        return written

    def open(self, file_id: str) -> Path:
        """Where a copy of a file is, fetched if need be, see ``Place.open``."""
        copy = self._copy(file_id)
        if copy is not None:
            return copy
        content = self._s3.get(file_id)
        if content is None:
            return self._before.open(file_id)
        return self._cache.put(file_id, [content], len(content)).path

    def _copy(self, file_id: str) -> Path | None:
        try:
            path = self._cache.open(file_id)
            os.utime(path)  # so that it is not swept while it is read
        except (MediaError, OSError):
            return None
        return path

    def remove(self, file_id: str) -> None:
        """Delete a file, see ``Place.remove``; copies on other machines go within a day."""
        self._s3.delete(file_id)
        self._cache.remove(file_id)
        self._before.remove(file_id)

    def sweep(self, older_than_seconds: float) -> int:
        """Delete what a crash left half written, and copies that nobody asks for any more.

        A bucket has no halves: it takes a file whole or not at all.
        """
        halves = self._cache.sweep(older_than_seconds) + self._before.sweep(older_than_seconds)
        return halves + self._sweep_copies()

    def _sweep_copies(self) -> int:
        now, swept = time.time(), 0
        copies = sorted(_used(self._cache.files()))
        room = CACHE_BYTES - sum(size for _, size, _ in copies)
        for used, size, path in copies:
            idle = now - used
            if idle > CACHE_SECONDS or (room < 0 and idle > IN_USE_SECONDS):
                self._cache.remove(path.name)
                room += size
                swept += 1
        return swept

    def trouble(self, *, thorough: bool = False) -> str:
        """What is wrong with the bucket; it is asked once a minute at most.

        A ``thorough`` look is taken at once and also puts, fetches and deletes a small file.
        """
        looked, found = self._looked
        if thorough or time.monotonic() - looked > LOOK_SECONDS:
            try:
                self._try_out() if thorough else self._s3.get("check", LOOK_DEADLINE)
                found = ""
            except StorageUnwell as error:
                found = str(error)
            self._looked = (time.monotonic(), found)
        return found

    def _try_out(self) -> None:
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

    def waiting(self) -> list[str]:
        """The ids of the files in the folder of before."""
        return sorted(path.name for path in self._before.files())

    def move_in(self, file_id: str) -> tuple[Moved, int]:
        """Copy a file of the folder of before into the bucket, unless it is there; with its size.

        The copy is checked by size and SHA-256. A file that is there with another content stays as
        it is. Raises ``StorageUnwell``, and ``MediaError`` for a file that is gone meanwhile.
        """
        content = _read(self._before.open(file_id))
        if self._s3.find(file_id) is None:
            self._s3.put(file_id, content)
            outcome = Moved.COPIED
        else:
            outcome = Moved.ALREADY
        same = self._has(file_id, content)
        return outcome if same else Moved.DIFFERENT, len(content)

    def _has(self, file_id: str, content: bytes) -> bool:
        """Whether a file is in the bucket with just this content."""
        found = self._s3.find(file_id)
        if found is None or found.size != len(content):
            return False
        if found.sha256 is None:  # put there by another program
            return self._s3.get(file_id) == content
        return found.sha256 == hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageUnwell(f"An attachment cannot be read: {error.strerror}.") from error


def _used(copies: Iterable[Path]) -> Iterator[tuple[float, int, Path]]:
    """When each copy was last asked for, its size in bytes and its path."""
    for path in copies:
        with suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path

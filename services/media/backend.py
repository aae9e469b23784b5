"""Base class of the storage backends for attachments (local folder, S3 bucket)."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import Kind, MediaError

FILE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackendFile:
    """A stored file: its path on this machine, its first bytes, its size in bytes."""

    path: Path
    head: bytes
    size: int


class MediaBackend(ABC):
    """Stores files by their ids (UUIDs with hyphens); a file is stored completely or not at all."""

    @abstractmethod
    def put(self, file_id: str, chunks: Iterable[bytes], max_bytes: int) -> BackendFile:
        """Store a file of at most ``max_bytes`` bytes, in place of one with the same id.

        When this returns, the file survives a power failure. Raises ``MediaError`` for a file that
        is too large, and ``StorageUnwell``.
        """

    @abstractmethod
    def open(self, file_id: str) -> Path:
        """The path of a file on this machine, valid for at least 15 minutes.

        Raises ``MediaError`` if there is no such file, and ``StorageUnwell``.
        """

    @abstractmethod
    def exists(self, file_id: str) -> bool:
        """Whether a file is stored at this moment, copies left aside. Raises ``StorageUnwell``."""

    @abstractmethod
    def remove(self, file_id: str) -> None:
        """Delete a file; does nothing if there is none. Raises ``StorageUnwell``."""

    @abstractmethod
    def sweep(self, older_than_seconds: float) -> int:
        """Delete incomplete files that a crash left; returns how many. Raises ``StorageUnwell``."""

    @abstractmethod
    def problem(self, *, thorough: bool = False) -> str:
        """What is wrong with the storage, in a sentence, or an empty text.

        Without ``thorough`` the check is cheap enough for every health check.
        """


def missing_error() -> MediaError:
    """The error for a file that is not stored."""
    return MediaError("There is no such attachment.", Kind.REFUSED)


def too_large_error(max_bytes: int) -> MediaError:
    """The error for a file of more than ``max_bytes`` bytes."""
    return MediaError(f"The file is larger than {max_bytes / 1e6:g} MB.", Kind.REFUSED)

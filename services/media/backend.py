"""Where the bytes of attachments are kept: what a folder and a bucket have in common."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import Kind, MediaError

FILE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is kept: where it can be read here, how it begins, its size in bytes."""

    path: Path
    head: bytes
    size: int


class MediaBackend(ABC):
    """Keeps files under their ids (UUIDs in their usual form), each whole or not at all."""

    @abstractmethod
    def put(self, file_id: str, chunks: Iterable[bytes], most: int) -> Written:
        """Keep a file of at most ``most`` bytes; the same id again replaces the file.

        When this returns, the file survives a power cut. Raises ``MediaError`` for one that is too
        large and ``StorageUnwell``.
        """

    @abstractmethod
    def open(self, file_id: str) -> Path:
        """Where a kept file can be read on this machine, for some minutes at least.

        Raises ``MediaError`` where there is none and ``StorageUnwell``.
        """

    @abstractmethod
    def remove(self, file_id: str) -> None:
        """Delete a file; one that is not there is fine. Raises ``StorageUnwell``."""

    @abstractmethod
    def sweep(self, older_than_seconds: float) -> int:
        """Delete what a crash left half written, and say how many. Raises ``StorageUnwell``."""

    @abstractmethod
    def trouble(self, *, thorough: bool = False) -> str:
        """What is wrong with it in a sentence, or nothing; without ``thorough`` it costs little."""


def missing() -> MediaError:
    """The error for a file that is nowhere."""
    return MediaError("There is no such attachment.", Kind.REFUSED)


def too_large(most: int) -> MediaError:
    """The error for a file of more than ``most`` bytes."""
    return MediaError(f"The file is larger than {most / 1e6:g} MB.", Kind.REFUSED)

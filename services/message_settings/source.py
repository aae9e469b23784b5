"""``Source``: the protocol of a place that keeps the Message Settings document."""

from collections.abc import Callable
from typing import Protocol


class Source(Protocol):
    """A place that keeps one document for all processes, such as a file or a database row.

    ``name`` is what messages to the operator call it, ``remedy`` a sentence that says how to repair
    a broken document. After reading ``version``, the caller may rely on it for ``fresh_seconds``
    (seconds). Each method may raise ``StorageUnwell``.
    """

    name: str
    remedy: str
    fresh_seconds: float

    def version(self) -> object:
        """A value that differs after each change of the document; cheap to read."""

    def read(self) -> bytes | None:
        """The document, or ``None`` if none was written yet."""

    def replace(self, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the document by ``change(document)`` under a lock that excludes other writers."""

"""Bounds on the work that the structure of one picture may cause."""

MOST_PIECES = 300_000  # segments, chunks or blocks; a GIF of 25 MB has about a hundred thousand


class PieceCounter:
    """Counts the pieces of a picture."""

    def __init__(self) -> None:
        self._left = MOST_PIECES

    def count(self) -> None:
        """Count one more. Raises ``ValueError`` when there are too many."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many pieces")


class Eraser:
    """A copy of a file in which ranges are overwritten with zeros, in all not more than it has."""

    def __init__(self, content: bytes) -> None:
        self._copy = bytearray(content)
        self._left = len(content)

    def erase(self, start: int, stop: int) -> None:
        """Overwrite a range. Raises ``ValueError`` if it is not in the file, or for too many."""
        self._left -= stop - start
        if not 0 <= start <= stop <= len(self._copy) or self._left < 0:
            raise ValueError("no such range")
        self._copy[start:stop] = bytes(stop - start)

    def write(self, start: int, content: bytes) -> None:
        """Overwrite a range that was found in the file with other bytes."""
        self._copy[start : start + len(content)] = content

    def result(self) -> bytes:
        """The file with its zeros."""
        return bytes(self._copy)

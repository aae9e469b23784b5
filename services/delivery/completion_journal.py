"""What was answered and the database does not know yet, for whoever follows a kill.

That a push was taken is noted some milliseconds later, with others. Its job's id is put down at
once, in a file: that takes two microseconds and no wait for the disk, and it outlives the process,
though not the machine. So a push that was answered is not repeated.
"""

import os
from array import array
from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from services.store.jobs import Job

PLACES = 512  # far more than a worker has in hand; then the first is used again
WORD = 8  # bytes: never half written


class CompletionJournal:
    """A file for each worker of a storage folder, with the ids of its last jobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._places = cycle(range(0, PLACES * WORD, WORD))

    def note(self, job: Job) -> None:
        """Put down that a job's work is done. Where that cannot be, it may be done again."""
        with suppress(OSError):
            if self._file is None:
                path = self._of(job.owner or "")
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, array("q", [job.id]).tobytes(), next(self._places))

    def left_by(self, owners: Iterable[str]) -> set[int]:
        """The ids of the jobs that these workers have put down."""
        ids = array("q")
        for path in map(self._of, owners):
            with suppress(OSError):
                ids.frombytes(path.read_bytes())
        return set(ids)

    def forget(self, owner: str) -> None:
        """Remove what a worker has put down."""
        self._of(owner).unlink(missing_ok=True)

    def _of(self, owner: str) -> Path:
        return self._folder / f"{owner}.taken"

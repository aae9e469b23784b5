"""Completion journal: ids of jobs that are done and not yet recorded in the database.

The database learns of an accepted push some milliseconds later, together with others. The job's id
is written to a file at once: this takes two microseconds and no wait for the disk, and it survives
a kill of the process, though not a crash of the machine. So an accepted push is not repeated.
"""

import os
from array import array
from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from services.store.jobs import Job

SLOTS = 512  # far more than a worker has in hand; then the first one is reused
ID_BYTES = 8  # written in one piece


class CompletionJournal:
    """A file for each worker of a storage folder, with the ids of its last jobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._slots = cycle(range(0, SLOTS * ID_BYTES, ID_BYTES))

    def note(self, job: Job) -> None:
        """Write down that a job is done. Where this fails, the job may be done again."""
        with suppress(OSError):
            if self._file is None:
                path = self._of(job.owner or "")
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, array("q", [job.id]).tobytes(), next(self._slots))

    def left_by(self, owners: Iterable[str]) -> set[int]:
        """The ids of the jobs that these workers have written down."""
        ids = array("q")
        for path in map(self._of, owners):
            with suppress(OSError):
                ids.frombytes(path.read_bytes())
        return set(ids)

    def forget(self, owner: str) -> None:
        """Delete the journal of a worker."""
        self._of(owner).unlink(missing_ok=True)

    def _of(self, owner: str) -> Path:
        return self._folder / f"{owner}.taken"

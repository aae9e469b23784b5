"""Files of the storage folder that other users of this machine can read or change."""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOST = 10_000  # entries that are looked at: the folder of attachments may have millions


def open_to_others(folder: Path) -> list[Path]:
    """The folder and what is in it, as far as others may enter, read or write it.

    Empty where the folder itself is closed: nothing in it can be reached then. Looks at the first
    ten thousand entries; links are not followed. What cannot be looked at is left out.
    """
    if not is_open(folder):
        return []
    return [folder, *(path for path in islice(_entries(folder), MOST) if is_open(path))]


def _entries(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        for name in (*sorted(files), *sorted(folders)):
            yield Path(place, name)


def is_open(path: Path) -> bool:
    """Whether others may enter, read or write it; not for links and what cannot be looked at."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(status.st_mode) and bool(status.st_mode & OTHERS)

"""Files that a command writes for its user alone, also where the file was there before."""

import os
import stat
from contextlib import suppress
from typing import IO, Any


def close_to_others(target: IO[Any]) -> None:
    """Take a file that is open for writing from other users (mode 0600).

    New files are private by the umask. A file of another user, a pipe and a device stay as they
    are.
    """
    handle = target.fileno()
    if stat.S_ISREG(os.fstat(handle).st_mode):
        with suppress(PermissionError):
            os.fchmod(handle, 0o600)

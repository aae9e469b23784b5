"""Whether a server of Textbridge runs on a storage folder: exit code 0 if so, else 1.

It holds the lock ``server.lock`` for as long as it runs. Only the standard library is used, and no
file is made.
"""

import fcntl
import sys
from pathlib import Path


def is_serving(storage: Path) -> bool:
    """Whether the lock is taken."""
    try:
        with (storage / "server.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(not is_serving(Path(sys.argv[1])))

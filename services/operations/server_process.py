"""The running server of a storage folder: its process id, and the signal to read ``.env`` again."""

import os
import signal
from pathlib import Path

from filelock import FileLock, Timeout

from services.core.errors import RequestRefused

HOW_TO_START = "Start it: make run, or as a service: sudo systemctl start textbridge."


def pid_file(storage: Path) -> Path:
    """Where the server writes its process id when it starts and at every reload."""
    return storage / "run" / "server.pid"


def running_pid(storage: Path) -> int | None:
    """The process id of the server on a storage folder, or ``None`` where none runs.

    After a crash the file stays, and its number may belong to another program: only the lock of a
    running server proves that it runs.
    """
    try:
        pid = int(pid_file(storage).read_text())
        with FileLock(storage / "server.lock", timeout=0):
            return None
    except Timeout:
        return pid
    except (FileNotFoundError, ValueError):
        return None


def reload_server(storage: Path) -> int:
    """Make the running server read ``.env`` again; returns its process id.

    Raises ``RequestRefused`` where none runs, and where this user may not signal it.
    """
    pid = running_pid(storage)
    if pid is None:
        raise RequestRefused(
            "no_server",
            f"No server is running on {storage}. {HOW_TO_START} It reads .env then.",
        )
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        raise RequestRefused(
            "not_mine",
            f"The server (process {pid}) belongs to another user. Run this command as that user.",
        ) from None
    return pid

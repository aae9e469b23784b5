"""The server that runs beside a command, if one does."""

from pathlib import Path

from filelock import FileLock, Timeout


def pid_file(storage: Path) -> Path:
    """Where the server writes its process id when it starts and at every reload."""
    return storage / "run" / "server.pid"


def running_pid(storage: Path) -> int | None:
    """The process id of the server on a storage folder, or ``None`` where none runs.

    After a crash the file stays and its number may belong to another program by now; the lock that
    a living server holds tells.
    """
    try:
        pid = int(pid_file(storage).read_text())
        with FileLock(storage / "server.lock", timeout=0):
            return None
    except Timeout:
        return pid
    except (FileNotFoundError, ValueError):
        return None

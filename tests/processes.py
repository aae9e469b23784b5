"""Child processes that end when the test process ends, also when it is killed."""

import ctypes
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PR_SET_PDEATHSIG = 1
_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")


def start(*command: str, **options: Any) -> "subprocess.Popen[Any]":
    """Start a command that ends with this process; ``options`` are those of ``Popen``.

    Linux kills it when the thread that started it ends. So a thread that may end earlier than the
    process has another one start the command, which does not.
    """
    tied = ends_with_parent(*command)
    if threading.current_thread() is threading.main_thread():
        return subprocess.Popen(tied, **options)
    return _starter.submit(lambda: subprocess.Popen(tied, **options)).result()


def ends_with_parent(*command: str) -> list[str]:
    """The command, started so that Linux kills it when the thread that started it ends.

    ``setpriv`` (util-linux) sets the parent-death signal and executes the command, so the process
    id stays the same. Without it (not on Linux) the command is returned as it is.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)


def end_with_parent() -> None:
    """Have Linux kill the calling process when its parent ends."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")

"""Fault injection at system calls by ``strace``: calls fail, or the process is killed there."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from tests.processes import start
from tests.server import ROOT, Server
from torture.environment import wait_until


@contextmanager
def attached(pid: int, log: Path, call: str, fault: str = "") -> Iterator[None]:
    """Trace calls of a process into ``log``; ``fault`` is injected, such as ``error=EIO:when=2``.

    ``when`` counts the calls of each kind and thread from now on.
    """
    command = ["strace", "-f", "-q", "-o", str(log), "-p", str(pid), *_options(call, fault)]
    tracer = start(*command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: tracer.poll() is not None or _is_traced(pid), "strace")
        threading.Thread(target=_end_tracer, args=(tracer, lambda: pid), daemon=True).start()
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def command(server: Server, log: Path, call: str, fault: str, *arguments: str) -> int:
    """Run a ``flask`` command with an injected fault, see ``attached``.

    Returns the exit code; -9 when the command was killed.
    """
    flask = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    tracer = start(
        "strace", "-f", "-q", "-o", str(log), *_options(call, fault), *flask,
        cwd=ROOT, env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _end_tracer(tracer, lambda: _child(tracer.pid))
    return tracer.wait()


def _end_tracer(tracer: "subprocess.Popen[bytes]", find: Callable[[], int]) -> None:
    """Kill a tracer whose process was killed.

    With several threads strace waits for ever, and the killed process stays a zombie.
    """
    while tracer.poll() is None:
        pid = find()
        if pid and _is_dead(pid):
            tracer.kill()
        sleep(0.02)


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def calls(log: Path) -> int:
    """The number of calls in a log."""
    return sum("(" in line for line in log.read_text(errors="replace").splitlines())


def _options(call: str, fault: str) -> list[str]:
    return ["-e", f"trace={call}", *(["-e", f"inject={call}:{fault}"] if fault else [])]


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True  # it has ended, which the caller handles
    return "TracerPid:\t0\n" not in status

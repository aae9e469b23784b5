"""The measured servers as processes: started, watched by ``/proc``, ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from bench import traffic
from tests.postgres import free_port
from tests.server import ROOT, Server

TICKS = os.sysconf("SC_CLK_TCK")
Usage = dict[int, float]


def tree(root: int) -> list[int]:
    """A process and everything below it."""
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            continue
        queue += [int(child) for child in children.split()]
    return found


def cpu_seconds(root: int) -> float:
    """The CPU that a living tree of processes has used so far, in its own and the kernel's code."""
    used = 0.0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used += (int(fields[11]) + int(fields[12])) / TICKS
    return used


def memory_mb(root: int) -> float:
    """What a tree of processes holds in memory: shared pages count once (PSS)."""
    total = 0
    for pid in tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:"))
    return total / 1024


def installation_mb() -> float:
    """The size on disk of what ``make install`` puts into the virtual environment."""
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    names = [row.partition("==")[0] for row in lock.splitlines() if "==" in row[:80]]
    total = 0
    for name in names:
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform
        paths = (Path(str(file.locate())) for file in files)
        total += sum(path.stat().st_size for path in paths if path.is_file())
    return total / 1e6


@contextmanager
def noop() -> Iterator["Process"]:
    """The Flask application that does nothing."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "bench/noop.py", "bench.noop:app"]
    with _running(command, {"PORT": str(port)}) as process:
        _wait_for(port, traffic.post("/webhook/noop/sms", b"{}"))
        yield Process(process.pid, port)


@contextmanager
def receiver() -> Iterator["Process"]:
    """The other side of every push and every send."""
    port = free_port()
    with _running([sys.executable, "-m", "bench.receiver", str(port)], {}) as process:
        _wait_for(port, traffic.get("/seen"))
        yield Process(process.pid, port)


class Process:
    """A running process (tree) and the port on which it listens."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port


@contextmanager
def _running(command: list[str], env: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    whole = {"PATH": os.environ["PATH"], **env}
    process = subprocess.Popen(command, cwd=ROOT, env=whole, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, request: bytes, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            traffic.run(port, lambda _: request, connections=1, most=1)
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def start_up_seconds(server: Server) -> float:
    """Start a server; how long until it answers."""
    start = time.monotonic()
    server.start(wait=False)
    _wait_for(server.port, traffic.get("/up"))
    taken = time.monotonic() - start
    server.wait_ready()
    return taken

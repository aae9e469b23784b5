"""Server processes of the benchmarks: start, stop, CPU time and memory from ``/proc``."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from bench import load_generator, native
from bench.request_template import RequestTemplate, get_request, post_request
from tests.postgres import free_port
from tests.processes import start
from tests.server import ROOT, Server

TICKS = os.sysconf("SC_CLK_TCK")
Usage = dict[int, float]


def process_tree(root: int) -> list[int]:
    """The ids of a process and all its descendants."""
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
    """The CPU time of a running process tree in seconds, user and system."""
    used = 0.0
    for pid in process_tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used += (int(fields[11]) + int(fields[12])) / TICKS
    return used


def memory_mb(root: int) -> float:
    """The memory of a process tree in MB; shared pages count once (PSS)."""
    total = 0
    for pid in process_tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:"))
    return total / 1024


def installation_mb() -> float:
    """The size in MB of the packages that ``make install`` installs."""
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
    """Start the no-op application."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "bench/noop.py", "bench.noop:app"]
    with _running(command, {"PORT": str(port)}) as process:
        _wait_for(port, post_request("/webhook/noop/sms", b"{}"))
        yield Process(process.pid, port)


@contextmanager
def receiver(seconds: float = 0.0) -> Iterator["Process"]:
    """Start the receiver of pushes and sends, which answers after ``seconds``."""
    port = free_port()
    program = native.program()
    command = [str(program), "receive", str(port)]
    if program is None or seconds:
        command = [sys.executable, "-m", "bench.receiver", str(port), str(seconds)]
    with _running(command, {}) as process:
        _wait_for(port, get_request("/count"))
        yield Process(process.pid, port)


class Process:
    """A running process (tree) and the port on which it listens."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port


@contextmanager
def _running(command: list[str], env: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    full_env = {"PATH": os.environ["PATH"], **env}
    process = start(*command, cwd=ROOT, env=full_env, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, request: RequestTemplate, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            load_generator.in_python(port, request, connections=1, max_requests=1)
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def wait_until_up(server: Server) -> None:
    """Wait until a started server answers, ready or not."""
    _wait_for(server.port, get_request("/up"))


def start_up_seconds(server: Server) -> float:
    """Start a server; returns the seconds until it answers."""
    start = time.monotonic()
    server.start(wait=False)
    wait_until_up(server)
    taken = time.monotonic() - start
    server.wait_ready()
    return taken

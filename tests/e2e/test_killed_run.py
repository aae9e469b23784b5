"""A test run that is killed leaves no process behind."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import programs
from tests.processes import start
from tests.server import ROOT
from tests.waiting import eventually

HOLD = "tests/browser/held_open.py"
STARTED = ("postgres", "chromium", "firefox", "nginx", "gunicorn", "worker")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short name, because PostgreSQL's socket is in it, where its user may go, too."""
    made = Path(tempfile.mkdtemp(prefix="held-"))
    made.chmod(0o711)
    yield made
    for pid in processes_of(made):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(made, ignore_errors=True)


def processes_of(folder: Path) -> dict[int, str]:
    """The command lines of all processes that have a folder in their arguments or environment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments, environment = (process / f for f in ("cmdline", "environ"))
            words = arguments.read_bytes()
            if os.fsencode(folder) in words + environment.read_bytes():
                found[int(process.name)] = words.replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not installed.")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="There is no /proc.")
@pytest.mark.parametrize("how", [(), ("-n", "1")], ids=["one process", "pytest-xdist"])
def test_a_killed_run_leaves_nothing_behind(folder: Path, how: tuple[str, ...]) -> None:
    missing = [name for name in STARTED[:4] if not shutil.which(name)]
    if programs():
        missing = [name for name in missing if name != "postgres"]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    ready = folder / "ready"
    env = {**os.environ, "TMPDIR": str(folder), "READY_FILE": str(ready)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *how, HOLD]
    with (folder / "log").open("w+b") as log:
        run = start(*command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            eventually(lambda: ready.exists() or run.poll() is not None)
            assert ready.exists(), (folder / "log").read_text()
            alive = processes_of(folder).values()
            assert [name for name in STARTED if not any(name in one for one in alive)] == []
        finally:
            run.kill()
            run.wait()
    eventually(lambda: not processes_of(folder), seconds=30)

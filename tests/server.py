"""A real Textbridge: its one command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.postgres import free_port
from tests.processes import ends_with_parent, start
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
# For tests that send more than anybody types.
UNLIMITED = dict.fromkeys(
    ("SEND_PER_MINUTE", "SEND_PER_DAY", "SEND_PER_PEER_HOUR", "SEND_PER_PEER_DAY"), "0"
)


class Server:
    """A running server: its address, its process tree, its log."""

    command = ("gunicorn", "-c", "gunicorn.conf.py", "wsgi:app")

    def __init__(self, storage: Path, env: Mapping[str, str], root: Path = ROOT) -> None:
        """``root`` is the folder of its program."""
        self.root = root
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.storage = storage
        self.env = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": "",
            "FLASK_SKIP_DOTENV": "1",  # a developer's own .env is none of the tests' business
            "APP_ENV": "local",
            "APP_KEY": "a key of the tests, long enough",
            "STORAGE_PATH": str(storage),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "1",
            **env,
        }
        self.log = storage / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start the command; with ``wait`` until it is ready."""
        # a new folder that is open to others would be a finding of the configuration
        self.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self._process = start(
                sys.executable,
                "-m",
                *self.command,
                cwd=self.root,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's parent process."""
        assert self._process is not None, "the server was not started"
        return self._process

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        """Wait until the server says that it is ready."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if requests.get(f"{self.url}/ready", timeout=10).ok:
                    return
            except requests.RequestException:
                pass
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"not ready in time:\n{self.log.read_text()}")

    def children(self) -> list[int]:
        """The process ids of the web processes and the delivery worker."""
        out = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in out.stdout.split()]

    def kill_tree(self) -> None:
        """End every process at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)

    def stop(self) -> int:
        """Stop as Ctrl-C does and return the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the operator's commands in the same environment."""
        return subprocess.run(
            ends_with_parent(sys.executable, "-m", "flask", "--app", "wsgi", *arguments),
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def json(self, *command: str) -> Any:
        """What one of the operator's commands prints with ``--json``."""
        done = self.flask(*command, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def new_token(self) -> str:
        """The token of a new device of extension 201."""
        return str(self.json("devices", "add", "201", "--name", "x")["token"])


class LoneWorker(Server):
    """A running ``flask worker``: it listens nowhere."""

    command = ("flask", "--app", "wsgi", "worker")

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        """Wait until it says that it runs."""
        end = time.monotonic() + seconds
        while "The delivery worker runs." not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"not ready in time:\n{self.log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop as a service manager does and return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)


@contextmanager
def running_server(storage: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server on a storage folder, and end it."""
    server = Server(storage, env or {})
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()

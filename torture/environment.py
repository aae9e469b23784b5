"""Test environment of a check: a folder, test servers, fake carrier, fake app and mail server."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from bench.measured_server import TOKEN
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.mailbox import Mailbox
from tests.fakes.receiver import Receiver
from tests.server import UNLIMITED, Server

T = TypeVar("T")
NUMBER = "+12025550143"
EXTENSION = "201"
WEBHOOK_PATH = f"/webhook/bandwidth/sms?token={quote(TOKEN)}"
NUMBER_SETTINGS = {"number": NUMBER, "carrier": "bandwidth", "extensions": [EXTENSION]}


class PromiseBroken(Exception):
    """The promise does not hold; the text says what was observed."""


class TestEnvironment:
    """The folder of one check and everything started for it; a context manager that ends it all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> "TestEnvironment":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context manager that is left when this environment ends."""
        return self._stack.enter_context(context)

    @cached_property
    def bandwidth(self) -> FakeBandwidth:
        """Fake carrier: accepts every message and sends a delivery receipt for it."""
        return self.enter(FakeBandwidth())

    @cached_property
    def receiver(self) -> Receiver:
        """Fake server of the app: accepts every signed webhook push."""
        return self.enter(Receiver())

    @cached_property
    def mailbox(self) -> Mailbox:
        """Fake mail server."""
        return self.enter(Mailbox())

    def server(
        self,
        numbers: Sequence[Mapping[str, Any]] = (NUMBER_SETTINGS,),
        *,
        name: str = "storage",
        kind: type[Server] = Server,
        **env: str,
    ) -> Server:
        """A server with storage folder ``name`` and the fakes above; not started yet."""
        storage = self.folder / name
        storage.mkdir(exist_ok=True)
        (storage / "message_settings.json").write_text(settings_file(*numbers))
        base_env = {**self.bandwidth.env, **self.receiver.env, **self.mailbox.env, **UNLIMITED}
        server = kind(storage, {**base_env, "BANDWIDTH_WEBHOOK_TOKEN": TOKEN, **env})
        self._stack.callback(_stop, server)
        self.bandwidth.webhook = f"{server.url}{WEBHOOK_PATH}"
        return server

    def server_like(self, server: Server, storage: Path, **env: str) -> Server:
        """A server with the settings of another one and an existing storage folder; not started."""
        own = {"PORT", "STORAGE_PATH"}
        inherited = {name: value for name, value in server.env.items() if name not in own}
        other = Server(storage, {**inherited, **env})
        self._stack.callback(_stop, other)
        return other

    def start_server(self, **options: Any) -> Server:
        """A server with the arguments of ``server``, started and ready."""
        server = self.server(**options)
        server.start()
        return server


def _stop(server: Server) -> None:
    if server.is_running():
        server.kill_tree()


def new_device_token(server: Server, extension: str = EXTENSION) -> str:
    """Add a device to an extension; returns its token."""
    result = server.flask("devices", "add", extension, "--name", "torture", "--json")
    return str(json.loads(result.stdout)["token"])


def delivery_worker_pid(server: Server) -> int:
    """The process id of the delivery worker; waits until there is one."""
    return wait_until(lambda: _children(server, delivers=True), "a delivery worker")[0]


def web_process_pids(server: Server) -> list[int]:
    """The process ids of the web processes; waits until there is one."""
    return wait_until(lambda: _children(server, delivers=False), "a web process")


def _children(server: Server, *, delivers: bool) -> list[int]:
    """The child processes of one kind; only the worker has a ``.worker`` lock file open."""
    return [pid for pid in server.children() if _is_worker(pid) is delivers]


def _is_worker(pid: int) -> bool | None:
    try:
        open_files = [handle.readlink().suffix for handle in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # the process is ending
        return None
    return ".worker" in open_files if open_files else None


def wait_until(condition: Callable[[], T], what: str, seconds: float = 180.0) -> T:
    """Wait until a condition returns a true value, and return the value.

    Raises ``PromiseBroken`` after ``seconds``, which are long because the machine may be busy.
    """
    end = monotonic() + seconds
    while not (found := condition()):
        if monotonic() > end:
            raise PromiseBroken(f"{what} did not come within {seconds:.0f} s")
        sleep(0.02)
    return found


def wait_for_count(
    count: Callable[[], int], wanted: int, what: str, seconds: float = 180.0
) -> None:
    """Wait until ``count`` returns at least ``wanted``.

    Raises ``PromiseBroken`` when the count has not grown for ``seconds``.
    """
    before, end = -1, 0.0
    while (now := count()) < wanted:
        if now > before:
            before, end = now, monotonic() + seconds
        if monotonic() > end:
            raise PromiseBroken(
                f"{what}: {now} of {wanted} came, and no more within {seconds:.0f} s"
            )
        sleep(0.02)


def require(holds: bool, observed: str) -> None:
    """Raise ``PromiseBroken`` with what was ``observed`` unless a condition holds."""
    if not holds:
        raise PromiseBroken(observed)

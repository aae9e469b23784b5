"""What a check stands on: a folder, servers and the world around them, at addresses of this run."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from bench.street import TOKEN
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.mailbox import Mailbox
from tests.fakes.receiver import Receiver
from tests.server import UNLIMITED, Server

T = TypeVar("T")
NUMBER = "+12025550143"
EXTENSION = "201"
HOOK = f"/webhook/bandwidth/sms?token={quote(TOKEN)}"
DESK = {"number": NUMBER, "carrier": "bandwidth", "extensions": [EXTENSION]}


class Broken(Exception):
    """The promise does not hold; its text is what was seen."""


class Ground:
    """The folder of one check, and what was started for it; all of it ends with the ``with``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> "Ground":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def enter(self, thing: AbstractContextManager[T]) -> T:
        """Begin something that ends with this ground."""
        return self._stack.enter_context(thing)

    @cached_property
    def bandwidth(self) -> FakeBandwidth:
        """The carrier: takes what is sent, and tells of every message that it was delivered."""
        return self.enter(FakeBandwidth())

    @cached_property
    def receiver(self) -> Receiver:
        """The app's server: takes every push."""
        return self.enter(Receiver())

    @cached_property
    def mailbox(self) -> Mailbox:
        """The mail server."""
        return self.enter(Mailbox())

    def server(
        self,
        numbers: Sequence[Mapping[str, Any]] = (DESK,),
        *,
        name: str = "storage",
        kind: type[Server] = Server,
        **env: str,
    ) -> Server:
        """A server that is not started yet, in the folder ``name``, with this world around it."""
        storage = self.folder / name
        storage.mkdir(exist_ok=True)
        (storage / "message_settings.json").write_text(settings_file(*numbers))
        around = {**self.bandwidth.env, **self.receiver.env, **self.mailbox.env, **UNLIMITED}
        server = kind(storage, {**around, "BANDWIDTH_WEBHOOK_TOKEN": TOKEN, **env})
        self._stack.callback(_end, server)
        self.bandwidth.webhook = f"{server.url}{HOOK}"
        return server

    def like(self, server: Server, storage: Path, **env: str) -> Server:
        """A server as another one, on another folder as it is; not started yet."""
        own = {"PORT", "STORAGE_PATH"}
        kept = {name: value for name, value in server.env.items() if name not in own}
        other = Server(storage, {**kept, **env})
        self._stack.callback(_end, other)
        return other

    def started(self, **how: Any) -> Server:
        """A server as of ``server``, ready."""
        server = self.server(**how)
        server.start()
        return server


def _end(server: Server) -> None:
    if server.is_running():
        server.kill_tree()


def bearer(server: Server, extension: str = EXTENSION) -> str:
    """The token of a new device of an extension."""
    made = server.flask("devices", "add", extension, "--name", "torture", "--json")
    return str(json.loads(made.stdout)["token"])


def delivering(server: Server) -> int:
    """The process that delivers; it holds the lock of a worker. Waits until there is one."""
    return wait_until(lambda: _children(server, delivers=True), "a delivery worker")[0]


def serving(server: Server) -> list[int]:
    """The processes that serve. Waits until there is one."""
    return wait_until(lambda: _children(server, delivers=False), "a web process")


def _children(server: Server, *, delivers: bool) -> list[int]:
    """Those that live; one that was killed may still be listed for a moment."""
    return [pid for pid in server.children() if _is_worker(pid) is delivers]


def _is_worker(pid: int) -> bool | None:
    try:
        held = [handle.readlink().suffix for handle in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it ends
        return None
    return ".worker" in held if held else None


def wait_until(look: Callable[[], T], what: str, seconds: float = 180.0) -> T:
    """Look until something comes, and return it; ``Broken`` when it does not.

    The time is only for what never comes: a machine that is busy is no fault.
    """
    end = monotonic() + seconds
    while not (found := look()):
        if monotonic() > end:
            raise Broken(f"{what} did not come within {seconds:.0f} s")
        sleep(0.02)
    return found


def wait_for(count: Callable[[], int], most: int, what: str, seconds: float = 180.0) -> None:
    """Wait until there are so many, however long it takes; ``Broken`` when for ``seconds`` none
    has been added."""
    before, end = -1, 0.0
    while (now := count()) < most:
        if now > before:
            before, end = now, monotonic() + seconds
        if monotonic() > end:
            raise Broken(f"{what}: {now} of {most} came, and no more within {seconds:.0f} s")
        sleep(0.02)


def demand(holds: bool, seen: str) -> None:
    """Say what was ``seen`` if something does not hold."""
    if not holds:
        raise Broken(seen)

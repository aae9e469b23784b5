"""Change notification for SQLite: datagrams on Unix sockets in the storage folder."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection

from services.store.database.notifier import Notifier

SUFFIX = ".socket"


class SocketNotifier(Notifier):
    """Each subscribed process has a datagram socket in ``<storage>/run``."""

    def __init__(self, storage: Path) -> None:
        super().__init__()
        self._folder = storage / "run"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._receiver: socket.socket | None = None
        self._path: Path | None = None

    def announce(self, tx: Connection) -> None:
        """Do nothing: SQLite has no notifications."""

    def notify_all(self) -> None:
        """Send a datagram to every socket in the folder."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):  # noqa: PTH208 - Path takes longer
                if name.endswith(SUFFIX):
                    self._notify(name)

    def _notify(self, name: str) -> None:
        try:
            with _socket_address(f"{self._folder}/{name}") as address:
                self._sender.sendto(b"!", address)
        except BlockingIOError:
            pass  # its buffer is full of notifications that it has not read yet
        except OSError:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()  # its process has ended

    def _open(self) -> None:
        if self._receiver is not None:
            return
        self._path = self._folder / f"{uuid4().hex}{SUFFIX}"
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with _socket_address(str(self._path)) as address:
            self._receiver.bind(address)
        threading.Thread(target=self._receive, args=(self._receiver,), daemon=True).start()

    def _receive(self, receiver: socket.socket) -> None:
        while True:
            try:
                if not receiver.recv(64):
                    return
            except OSError:
                return
            self.notify_local()

    def close(self) -> None:
        """Stop receiving and remove the socket."""
        with self._subscribing:
            if self._receiver is not None and self._path is not None:
                with contextlib.suppress(OSError), _socket_address(str(self._path)) as address:
                    self._sender.sendto(b"", address)
                self._path.unlink(missing_ok=True)
                self._receiver.close()
                self._receiver = None
        self._sender.close()


@contextlib.contextmanager
def _socket_address(path: str) -> Iterator[str]:
    """The address of a socket file, also for a long path.

    The address of a Unix socket holds about 100 bytes (unix(7), ``sun_path``). A longer path
    is addressed through an open folder in ``/proc``.
    """
    if len(path) < 100 or not Path("/proc/self/fd").is_dir():
        yield path
        return
    parent, _, name = path.rpartition("/")
    folder = os.open(parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)

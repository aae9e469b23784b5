"""The bell: it rings with every commit, and whoever waits for work wakes at once.

On SQLite every process listens on a datagram socket in the storage folder; on PostgreSQL the bell
is ``NOTIFY``, so that it is heard on every machine. A ring that gets lost costs only the wait for
the next look at the clock.
"""

import contextlib
import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Engine


class Notifier(ABC):
    """Rings and waits across processes."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self._count = 0
        self._starting = threading.Lock()

    @abstractmethod
    def announce(self, tx: Connection) -> None:
        """Let the database ring with this transaction's commit, if it can."""

    @abstractmethod
    def notify_all(self) -> None:
        """Wake everybody who waits, in every process, where the database has not.

        Never fails: it comes after the commit, and what was committed stays so.
        """

    def notify_local(self) -> None:
        """Wake everybody who waits in this process."""
        with self._rung:
            self._count += 1
            self._rung.notify_all()

    def subscribe(self) -> int:
        """Begin to listen, if not yet; returns how often it has rung."""
        with self._starting:
            self._open()
        return self._count

    def wait(self, seconds: float, since: int) -> bool:
        """Wait until it has rung more often than ``since``; false when the time passed."""
        with self._rung:
            return self._rung.wait_for(lambda: self._count != since, timeout=seconds)

    @abstractmethod
    def _open(self) -> None:
        """Begin to listen, if not yet."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening."""


class SocketNotifier(Notifier):
    """A datagram socket for each listening process in ``<storage>/run``."""

    def __init__(self, storage: Path) -> None:
        super().__init__()
        self._folder = storage / "run"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._listener: socket.socket | None = None
        self._path: Path | None = None

    def announce(self, tx: Connection) -> None:
        pass  # SQLite tells nobody of a commit

    def notify_all(self) -> None:
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):  # noqa: PTH208 - Path takes longer
                if name.endswith(".bell"):
                    self._ring_at(self._folder / name)

    def _ring_at(self, path: Path) -> None:
        try:
            with _short(path) as address:
                self._sender.sendto(b"!", address)
        except BlockingIOError:
            pass  # it has rings enough waiting
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()  # its process is gone

    def _open(self) -> None:
        if self._listener is not None:
            return
        self._path = self._folder / f"{uuid4().hex}.bell"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with _short(self._path) as address:
            self._listener.bind(address)
        threading.Thread(target=self._hear, args=(self._listener,), daemon=True).start()

    def _hear(self, listener: socket.socket) -> None:
        while True:
            try:
                if not listener.recv(64):
                    return
            except OSError:
                return
            self.notify_local()

    def close(self) -> None:
        with self._starting:
            if self._listener is not None and self._path is not None:
                with contextlib.suppress(OSError), _short(self._path) as address:
                    self._sender.sendto(b"", address)
                self._path.unlink(missing_ok=True)
                self._listener.close()
                self._listener = None
        self._sender.close()


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path by way of an open folder: a socket's address holds only about 100 bytes."""
    if len(str(path)) < 100 or not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def open_notifier(engine: Engine, storage: Path) -> Notifier:
    """The bell that fits the database."""
    if engine.dialect.name != "postgresql":
        return SocketNotifier(storage)
    from services.store.database.notifier_postgres import PostgresNotifier  # loads its driver: 5 MB

    return PostgresNotifier(engine)

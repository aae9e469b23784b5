"""Change notification between processes: every commit wakes those who wait for new data.

``notifier_socket`` has the implementation for SQLite, ``notifier_postgres`` the one for PostgreSQL.
A lost notification costs only time: each waiting loop also looks by itself after its timeout.
"""

import threading
from abc import ABC, abstractmethod

from sqlalchemy import Connection


class Notifier(ABC):
    """Sends and receives notifications across processes."""

    def __init__(self) -> None:
        self._received = threading.Condition()
        self._count = 0  # notifications received by this process
        self._subscribing = threading.Lock()

    @abstractmethod
    def announce(self, tx: Connection) -> None:
        """Let the database send a notification when this transaction commits, if it can."""

    @abstractmethod
    def notify_all(self) -> None:
        """Wake all who wait, in every process, unless the database has already done so.

        Never fails: it runs after the commit, which cannot be undone any more.
        """

    def notify_local(self) -> None:
        """Wake all who wait in this process."""
        with self._received:
            self._count += 1
            self._received.notify_all()

    def subscribe(self) -> int:
        """Start receiving, if not started yet; returns the number of notifications so far."""
        with self._subscribing:
            self._open()
        return self._count

    def wait(self, seconds: float, since: int) -> bool:
        """Wait until there were more than ``since`` notifications; false after the timeout."""
        with self._received:
            return self._received.wait_for(lambda: self._count != since, timeout=seconds)

    @abstractmethod
    def _open(self) -> None:
        """Start receiving, if not started yet."""

    @abstractmethod
    def close(self) -> None:
        """Stop receiving."""

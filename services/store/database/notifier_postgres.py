"""Change notification for PostgreSQL: ``NOTIFY`` and ``LISTEN``, which reach every machine."""

import contextlib
import threading

import psycopg
from sqlalchemy import Connection, Engine

from services.store.database.notifier import Notifier
from services.store.database.postgres_connection import PARAMETERS, LimitedConnection

CHANNEL = "textbridge"


class PostgresNotifier(Notifier):
    """``NOTIFY`` with each commit; each subscribed process has a connection that listens."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._listener: psycopg.Connection | None = None
        self._closed = False

    def announce(self, tx: Connection) -> None:
        """Let PostgreSQL send the notification when the transaction commits."""
        tx.exec_driver_sql(f"NOTIFY {CHANNEL}")

    def notify_all(self) -> None:
        """Do nothing: PostgreSQL has sent the notification with the commit."""

    def _open(self) -> None:
        if self._listener is None and not self._closed:
            with contextlib.suppress(psycopg.Error):  # the next ``subscribe`` connects again
                self._listener = self._connect()
                thread = threading.Thread(target=self._receive, args=(self._listener,), daemon=True)
                thread.start()

    def _connect(self) -> psycopg.Connection:
        url = self._engine.url.set(drivername="postgresql")
        address = url.render_as_string(hide_password=False)
        listener = LimitedConnection.connect(address, autocommit=True, **PARAMETERS)
        listener.execute(f"LISTEN {CHANNEL}")
        listener.is_limited = False  # it may wait for the next commit for days
        return listener

    def _receive(self, listener: psycopg.Connection) -> None:
        try:
            for _ in listener.notifies():
                self.notify_local()
        except (psycopg.Error, OSError):
            pass
        finally:
            self._listener = None  # the next ``subscribe`` connects again

    def close(self) -> None:
        """Close the connection that listens."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()

"""The bell on PostgreSQL: ``NOTIFY`` rings it, so that it is heard on every machine."""

import contextlib
import threading

import psycopg
from sqlalchemy import Connection, Engine

from services.store.database.notifier import Notifier

CHANNEL = "textbridge"


class PostgresNotifier(Notifier):
    """``NOTIFY`` and ``LISTEN``."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._listener: psycopg.Connection | None = None
        self._closed = False

    def announce(self, tx: Connection) -> None:
        tx.exec_driver_sql(f"NOTIFY {CHANNEL}")

    def notify_all(self) -> None:
        pass  # the database has done it

    def _open(self) -> None:
        if self._listener is None and not self._closed:
            with contextlib.suppress(psycopg.Error):  # the next who listens connects anew
                self._listener = self._connect()
                hear = threading.Thread(target=self._hear, args=(self._listener,), daemon=True)
                hear.start()

    def _connect(self) -> psycopg.Connection:
        url = self._engine.url.set(drivername="postgresql")
        listener = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        listener.execute(f"LISTEN {CHANNEL}")
        return listener

    def _hear(self, listener: psycopg.Connection) -> None:
        try:
            for _ in listener.notifies():
                self.notify_local()
        except (psycopg.Error, OSError):
            pass
        finally:
            self._listener = None  # the next who waits connects anew

    def close(self) -> None:
        self._closed = True
        if self._listener is not None:
            self._listener.close()

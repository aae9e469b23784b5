"""Connections to PostgreSQL that end a wait for a silent server.

psycopg waits without an end for an answer: where the server's process is stopped, or packets get
lost, the operating system notices nothing for minutes. So every wait has a limit of this process
(``time_limits``), and the server has limits of its own, which also hold where this process hangs.
"""

import time
from array import array
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from services.store.database import time_limits

CONNECT_SECONDS = 2  # the shortest time that psycopg accepts
LEAST_SECONDS = 1.2  # with less time left nothing is connected
POOL_SECONDS = 0.7  # for a free connection of the pool
PING_SECONDS = 0.5
PING_AFTER_SECONDS = 5.0  # a connection that was used since then is only looked at
# Longer than PostgreSQL's deadlock_timeout (1 s): of two transactions in a deadlock it ends one.
LOCK_SECONDS = 1.5
IDLE_SECONDS = 3.0  # of a process that hangs in a transaction, and keeps others from writing
_USED_AT = "textbridge_used_at"  # key in a connection record's ``info``

# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
PARAMETERS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 5000,  # milliseconds
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# https://www.postgresql.org/docs/current/runtime-config-client.html
SESSION = {
    "lock_timeout": LOCK_SECONDS,
    "statement_timeout": time_limits.STATEMENT_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_SECONDS,
}


class NoAnswer(psycopg.OperationalError):
    """The server has not answered in time. The connection is closed: its state is not known."""


class LimitedConnection(psycopg.Connection[Any]):
    """A connection whose waits end with the time limit of the operation that is running."""

    is_limited = True

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer. Raises ``NoAnswer``."""
        if not self.is_limited:
            return super().wait(gen, interval, timeout)
        left = time_limits.left()
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except psycopg.errors._WaitTimeout:
            self.close()
            raise NoAnswer("PostgreSQL does not answer.") from None

    def rollback(self) -> None:
        """Roll back; nothing where the connection is closed, or it would hide why it is."""
        if not self.closed:
            super().rollback()


def limit(engine: Engine) -> None:
    """Give every connection of an engine its limits, and test it before use."""
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _test)
    event.listen(engine, "checkin", _note_use)


def session_options(given: str = "") -> str:
    """The server's limits in the form of libpq's parameter ``options``; ``given`` go after them."""
    limits = [f"-c {name}={round(seconds * 1000)}" for name, seconds in SESSION.items()]
    return " ".join([*limits, given]).strip()


def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> LimitedConnection:
    if time_limits.left() < LEAST_SECONDS:
        raise NoAnswer("PostgreSQL does not answer.")
    options = session_options(parameters.pop("options", ""))
    return LimitedConnection.connect(*arguments, **{**PARAMETERS, **parameters, "options": options})


def _test(connection: LimitedConnection, record: Any, _proxy: Any) -> None:
    """Raise ``DisconnectionError`` for a connection that is closed: the pool opens another one."""
    used_at = record.info.get(_USED_AT)
    if used_at is None:
        return  # it is new
    try:
        # The server says nothing by itself but that it ends the connection.
        if time.monotonic() - used_at < PING_AFTER_SECONDS and not _unread_bytes(connection):
            connection.pgconn.consume_input()  # raises where the server has closed it
            return
        with time_limits.shorter(PING_SECONDS):
            connection.autocommit = True  # else it would begin a transaction
            connection.execute("")
            connection.autocommit = False
    except psycopg.Error:
        raise DisconnectionError from None


def _unread_bytes(connection: LimitedConnection) -> int:
    count = array("i", [0])
    ioctl(connection.pgconn.socket, FIONREAD, count)
    return count[0]


def _note_use(_connection: Any, record: Any) -> None:
    record.info[_USED_AT] = time.monotonic()

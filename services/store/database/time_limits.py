"""Time limits of database operations: a silent or locked database keeps no caller waiting.

A web process gives up early, so that carriers hear 503 within three seconds; workers, commands and
maintenance may take longer (``TimeLimits.extend``, ``patient``).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import TypeVar

from sqlalchemy import Connection, text

from services.core.errors import StorageUnwell

QUEUE_SECONDS = 0.8  # how long a write waits for other writes of its process
WRITE_SECONDS = 1.8  # with ``QUEUE_SECONDS`` below the three seconds in which carriers are answered
READ_SECONDS = 10.0
CALL_SECONDS = 2.8  # all operations of one call whose caller must be answered soon
WORKER_SECONDS = 10.0
COMMAND_SECONDS = 600.0
MAINTENANCE_SECONDS = 3600.0
STATEMENT_SECONDS = 10.0  # of PostgreSQL's server, unless ``allow`` gives it more
LONG = ("statement_timeout", "idle_in_transaction_session_timeout")
LEAST_SECONDS = 0.05  # an operation that has less is not begun
OTHER_SECONDS = 30.0  # for what uses an engine directly

T = TypeVar("T")

_call_end: ContextVar[float | None] = ContextVar("call_end", default=None)
_patience: ContextVar[float | None] = ContextVar("patience", default=None)
_operation_end: ContextVar[float | None] = ContextVar("operation_end", default=None)


class TimeLimits:
    """The limits of one process, in seconds; at first those of a web process."""

    queue = QUEUE_SECONDS
    write = WRITE_SECONDS
    read = READ_SECONDS

    def extend(self, seconds: float) -> None:
        """Allow this much for everything, in a process that answers no carriers."""
        self.queue = self.write = self.read = seconds


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All operations inside end within ``seconds`` together; a later one fails at once."""
    token = _call_end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _call_end.reset(token)


@contextmanager
def patient(seconds: float = MAINTENANCE_SECONDS) -> Iterator[None]:
    """Each operation inside may take ``seconds``: maintenance has long statements."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def operation(seconds: float) -> Iterator[float]:
    """One operation, which may take ``seconds`` unless others apply; yields what applies.

    Raises ``StorageUnwell`` where no time is left.
    """
    seconds = applying(seconds)
    if seconds < LEAST_SECONDS:
        raise StorageUnwell("The database does not answer in time.")
    token = _operation_end.set(time.monotonic() + seconds)
    try:
        yield seconds
    finally:
        _operation_end.reset(token)


@contextmanager
def shorter(seconds: float) -> Iterator[None]:
    """A part of an operation, which ends after ``seconds`` although more may be left."""
    token = _operation_end.set(time.monotonic() + min(seconds, left()))
    try:
        yield
    finally:
        _operation_end.reset(token)


def run_in(context: Context, work: Callable[[Connection], T], tx: Connection) -> T:
    """Run a part of the operation that is running here, with the context variables of another."""
    end = _operation_end.get()

    def run() -> T:
        _operation_end.set(end)
        return work(tx)

    return context.run(run)


def applying(seconds: float) -> float:
    """The limit that applies to an operation which may usually take ``seconds``."""
    seconds = max(seconds, _patience.get() or 0.0)
    end = _call_end.get()
    return seconds if end is None else max(0.0, min(seconds, end - time.monotonic()))


def left() -> float:
    """The seconds that are left to the operation that is running."""
    end = _operation_end.get()
    return applying(OTHER_SECONDS) if end is None else max(0.0, end - time.monotonic())


def allow(tx: Connection, names: Sequence[str] = LONG) -> None:
    """Let PostgreSQL work on this transaction as long as the operation may take.

    ``names`` are the limits of PostgreSQL that are set; that of waiting for locks stays short.
    """
    if tx.dialect.name == "postgresql" and (seconds := left()) > STATEMENT_SECONDS:
        for name in names:
            tx.execute(text(f"SET LOCAL {name} = {round(seconds * 1000)}"))

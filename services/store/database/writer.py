"""Group commit: one write transaction at a time in a process, shared by all who wait.

Under load several requests wait for the disk at the same time; one fsync is enough for all of
them. A caller gets its result only after the commit that contains its work.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from contextvars import copy_context
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.core.errors import StorageUnwell
from services.store.database import audit_counters, time_limits
from services.store.database.engine import WRITE
from services.store.database.notifier import Notifier
from services.store.database.persistent_connections import PersistentConnections
from services.store.database.time_limits import TimeLimits

T = TypeVar("T")
MAX_BATCH = 64
Lock = Callable[[float, float], AbstractContextManager[None]]
LOCK_SHARE = 0.4  # of an operation's time: then who waits in the queue hears of it as well
LONGEST_LOCK_WAIT = 10.0  # seconds, also for an operation that may take longer itself
HELD_SECONDS = 20.0  # beyond its limit: then a process that holds the lock hangs
# https://www.postgresql.org/docs/current/errcodes-appendix.html
DEADLOCK = "40P01"
LIMIT_EXCEEDED = "54"  # the class of all errors about values that are too large


class _Request:
    """Work that waits for a commit. When ``woken``, it is done, or its thread has to commit."""

    __slots__ = ("context", "done", "durable", "error", "result", "woken", "work")

    def __init__(self, work: Callable[[Connection], Any], *, durable: bool) -> None:
        self.work = work
        # Another thread may run it: Flask's request, and who calls, must be those of this one.
        self.context = copy_context()
        self.durable = durable
        self.woken = threading.Event()
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs functions in write transactions.

    The first thread that wants to write becomes the leader: it commits the work of all who wait.
    Then it wakes the first of those who came meanwhile, which becomes the next leader.
    """

    def __init__(
        self,
        engine: Engine,
        deferred_engine: Engine,
        notifier: Notifier,
        lock: Lock,
        limits: TimeLimits,
        *,
        check: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        """``notifier`` is notified of every commit; ``lock`` keeps other processes from writing.

        ``lock`` is called with the seconds that it may wait, and for how long it may be held.
        ``deferred_engine`` commits what need not be durable, see ``deferred_sync_engine``.
        ``check`` raises ``StorageUnwell`` if what was committed is lost all the same; ``tidy`` is
        called after each batch.
        """
        self._notifier = notifier
        self._lock = lock
        self._limits = limits
        self._check = check
        self._tidy = tidy
        self._is_checked = True
        # A connection to PostgreSQL may be broken by now; the pool tests it before use.
        kept = 1 if engine.dialect.name == "sqlite" else 0
        self._durable = PersistentConnections(engine.execution_options(**{WRITE: True}), kept)
        self._deferred = PersistentConnections(
            deferred_engine.execution_options(**{WRITE: True}), kept
        )
        self._queue: deque[_Request] = deque()
        self._has_leader = False
        self._queue_lock = threading.Lock()

    def run(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run ``work`` in a transaction, commit it durably and return the result of ``work``.

        With ``durable=False`` a power cut may undo it, until the next durable commit.

        ``work`` may only use the database, and may be run a second time. If it raises, only this
        caller gets the exception and nothing of its work is kept. Raises ``StorageUnwell`` when the
        database cannot write now.
        """
        request = _Request(work, durable=durable)
        with self._queue_lock:
            self._queue.append(request)
            leads, self._has_leader = not self._has_leader, True
        self._wait(request, leads)
        if not request.done:
            self._lead(request)
        if request.error is not None:
            raise request.error
        result: T = request.result
        return result

    def close(self) -> None:
        """Give the connections back to the pool; the next write opens them again."""
        self._durable.close()
        self._deferred.close()

    def _gather(self) -> None:
        """Let other threads add their work to the queue, as long as it grows."""
        size = 0
        while size < min(len(self._queue), MAX_BATCH):
            size = len(self._queue)
            time.sleep(0)

    def _wait(self, request: _Request, leads: bool) -> None:
        try:
            if leads:
                self._gather()
            elif not request.woken.wait(time_limits.applying(self._limits.queue)):
                self._end_wait(request)
        except BaseException:  # a request that is interrupted must not block the queue
            self._leave(request)
            if (leads or request.woken.is_set()) and not request.done:
                self._wake_next()
            raise

    def _end_wait(self, request: _Request) -> None:
        """Raise ``StorageUnwell`` if a request still waits; one that is being committed goes on."""
        with self._queue_lock:
            if request in self._queue and not request.woken.is_set():
                self._queue.remove(request)
                raise StorageUnwell("Other writes to the database take too long.")
        request.woken.wait()

    def _leave(self, request: _Request) -> None:
        with self._queue_lock, suppress(ValueError):
            self._queue.remove(request)

    def _lead(self, request: _Request) -> None:
        try:
            with (
                time_limits.operation(self._limits.write) as seconds,
                self._lock(min(seconds * LOCK_SHARE, LONGEST_LOCK_WAIT), seconds + HELD_SECONDS),
            ):
                try:
                    self._commit_batch()
                finally:
                    self._tidy()
            self._notifier.notify_all()
        except StorageUnwell as error:  # all who wait would get the same error, and later
            self._finish(self._take(len(self._queue)), error)
        finally:
            if not request.done:
                self._leave(request)
            self._wake_next()

    def _wake_next(self) -> None:
        with self._queue_lock:
            self._has_leader = bool(self._queue)
            if self._queue:
                self._queue[0].woken.set()

    def _commit_batch(self) -> None:
        batch = self._take(MAX_BATCH)
        try:
            self._commit(batch)
        except BaseException as error:
            if _is_unwell(error):
                reason = unwell(error)
                self._finish(batch, reason)
                raise reason from error
            if len(batch) == 1:
                self._fail(batch, error)
            else:
                for request in batch:
                    self._commit_alone(request)
        self._finish(batch)

    def _take(self, most: int) -> list[_Request]:
        with self._queue_lock:
            return [self._queue.popleft() for _ in range(min(len(self._queue), most))]

    def _finish(self, batch: list[_Request], error: StorageUnwell | None = None) -> None:
        for request in batch:
            request.error = error or request.error
            request.done = True
            request.woken.set()

    def _commit_alone(self, request: _Request) -> None:
        try:
            self._commit([request])
        except BaseException as error:
            self._fail([request], error)

    def _commit(self, batch: list[_Request]) -> None:
        """Run and commit; try again if PostgreSQL has ended a deadlock between two nodes."""
        for _ in range(2):
            try:
                return self._commit_once(batch)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                    raise
        return self._commit_once(batch)

    def _commit_once(self, batch: list[_Request]) -> None:
        def work(transaction: Connection) -> None:
            time_limits.allow(transaction)
            audit_counters.begin(transaction)
            for request in batch:
                request.result = time_limits.run_in(request.context, request.work, transaction)
            audit_counters.write(transaction)
            self._notifier.announce(transaction)

        if not self._is_checked:
            self._check()
        self._is_checked = False
        durable = any(request.durable for request in batch)
        (self._durable if durable else self._deferred).run(work)
        self._check()
        self._is_checked = True

    def _fail(self, batch: list[_Request], error: BaseException) -> None:
        refused = isinstance(error, (DBAPIError, PoolTimeout)) and not _has_wrong_values(error)
        for request in batch:
            request.error = unwell(error) if refused else error


def _is_unwell(error: BaseException) -> bool:
    """Whether an error is due to the state of the database, and not to what was to be written."""
    unwell = isinstance(error, (OperationalError, InterfaceError, PoolTimeout, StorageUnwell))
    return unwell and not _has_wrong_values(error)


def _has_wrong_values(error: BaseException) -> bool:
    """Whether the database can never store what was to be written."""
    if isinstance(error, (DataError, IntegrityError)):
        return True
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return str(state).startswith(LIMIT_EXCEEDED)


def unwell(error: BaseException) -> StorageUnwell:
    """The database's error message as ``StorageUnwell``, without the statement and its values."""
    if isinstance(error, StorageUnwell):
        return error
    cause = getattr(error, "orig", None) or error
    return StorageUnwell(f"The database cannot take it now: {str(cause).splitlines()[0]}")

"""One writing transaction at a time in a process, committing together what has gathered.

Under load several requests wait for the disk at once; one fsync serves them all. A caller gets its
result only when the commit that holds its work has returned.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.core.errors import StorageUnwell
from services.store import audit_counters
from services.store.database.engine import WRITE
from services.store.database.notifier import Notifier
from services.store.database.persistent_connections import PersistentConnections

T = TypeVar("T")
MOST_TOGETHER = 64
DEADLOCK = "40P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


class _Ticket:
    """One piece of work that waits for its commit, or for its turn to commit for others."""

    __slots__ = ("called", "done", "durable", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], Any], *, durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.called = threading.Event()
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs pieces of work in transactions.

    Whoever comes first commits for all who wait, then calls the next in line to do the same.
    """

    def __init__(
        self,
        engine: Engine,
        lazy: Engine,
        notifier: Notifier,
        between: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """``bell`` rings with every commit; ``between`` keeps other processes from writing.

        ``lazy`` commits what need not be durable, see ``lazy_engine``.
        """
        self._notifier = notifier
        self._between = between
        # PostgreSQL's may be gone meanwhile, on another machine: the pool looks before each use.
        most = 1 if engine.dialect.name == "sqlite" else 0
        self._standing = PersistentConnections(engine.execution_options(**{WRITE: True}), most)
        self._lazy = PersistentConnections(lazy.execution_options(**{WRITE: True}), most)
        self._waiting: deque[_Ticket] = deque()
        self._busy = False
        self._queue = threading.Lock()

    def run(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run a piece of work durably and return its result.

        With ``durable=False`` a power cut may undo it, until the next durable commit.

        ``work`` touches the database only and may be run a second time. Its own exception comes
        back to this caller alone, with nothing kept; ``StorageUnwell`` when the database cannot
        take it now.
        """
        ticket = _Ticket(work, durable=durable)
        with self._queue:
            self._waiting.append(ticket)
            first, self._busy = not self._busy, True
        self._wait(ticket, first)
        if not ticket.done:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        result: T = ticket.result
        return result

    def let_go(self) -> None:
        """Give the connections back until somebody writes again."""
        self._standing.close()
        self._lazy.close()

    def _gather(self) -> None:
        """Let whoever is about to write get on board, as long as somebody comes."""
        aboard = 0
        while aboard < min(len(self._waiting), MOST_TOGETHER):
            aboard = len(self._waiting)
            time.sleep(0)

    def _wait(self, ticket: _Ticket, first: bool) -> None:
        try:
            if first:
                self._gather()
            else:
                ticket.called.wait()
        except BaseException:  # whoever is interrupted leaves the line, and does not block it
            self._leave(ticket)
            if (first or ticket.called.is_set()) and not ticket.done:
                self._call_next()
            raise

    def _leave(self, ticket: _Ticket) -> None:
        with suppress(ValueError):
            self._waiting.remove(ticket)

    def _lead(self, ticket: _Ticket) -> None:
        try:
            with self._between():
                self._commit_some()
            self._notifier.notify_all()
        except StorageUnwell as error:  # it would be the same for all who wait
            self._end(self._take(len(self._waiting)), error)
        finally:
            if not ticket.done:
                self._leave(ticket)
            self._call_next()

    def _call_next(self) -> None:
        with self._queue:
            self._busy = bool(self._waiting)
            if self._waiting:
                self._waiting[0].called.set()

    def _commit_some(self) -> None:
        batch = self._take(min(len(self._waiting), MOST_TOGETHER))
        try:
            self._commit(batch)
        except BaseException as error:
            if len(batch) == 1 or _is_unwell(error):
                self._fail(batch, error)
            else:
                for ticket in batch:
                    self._commit_alone(ticket)
        self._end(batch)

    def _take(self, count: int) -> list[_Ticket]:
        return [self._waiting.popleft() for _ in range(count)]

    def _end(self, batch: list[_Ticket], error: StorageUnwell | None = None) -> None:
        for ticket in batch:
            ticket.error = error or ticket.error
            ticket.done = True
            ticket.called.set()

    def _commit_alone(self, ticket: _Ticket) -> None:
        try:
            self._commit([ticket])
        except BaseException as error:
            self._fail([ticket], error)

    def _commit(self, batch: list[_Ticket]) -> None:
        """Run and commit; again where PostgreSQL has ended two nodes' waiting for each other."""
        for _ in range(2):
            try:
                return self._commit_once(batch)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                    raise
        return self._commit_once(batch)

    def _commit_once(self, batch: list[_Ticket]) -> None:
        def work(transaction: Connection) -> None:
            audit_counters.begin(transaction)
            for ticket in batch:
                ticket.result = ticket.work(transaction)
            audit_counters.write(transaction)
            self._notifier.announce(transaction)

        durable = any(ticket.durable for ticket in batch)
        (self._standing if durable else self._lazy).run(work)

    def _fail(self, batch: list[_Ticket], error: BaseException) -> None:
        for ticket in batch:
            ticket.error = unwell(error) if _is_unwell(error) else error


def _is_unwell(error: BaseException) -> bool:
    return isinstance(error, (DBAPIError, PoolTimeout)) and not isinstance(error, IntegrityError)


def unwell(error: BaseException) -> StorageUnwell:
    """The database's complaint in its own words, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return StorageUnwell(f"The database cannot take it now: {str(cause).splitlines()[0]}")

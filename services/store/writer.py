"""One writing transaction at a time in a process, committing together what has gathered.

Under load several requests wait for the disk at once; one fsync serves them all. A caller gets its
result only when the commit that holds its work has returned.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.errors import StorageUnwell
from services.store.engine import WRITE

T = TypeVar("T")
MOST_TOGETHER = 64


class _Ticket:
    """One piece of work that waits for its commit."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs pieces of work in transactions."""

    def __init__(self, engine: Engine, between: Callable[[], AbstractContextManager[None]]) -> None:
        """``between`` keeps other processes from writing at the same time."""
        self._between = between
        self._engine = engine.execution_options(**{WRITE: True})
        self._waiting: deque[_Ticket] = deque()
        self._turn = threading.Lock()

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run a piece of work durably and return its result.

        ``work`` touches the database only and may be run a second time. Its own exception comes
        back to this caller alone, with nothing kept; ``StorageUnwell`` when the database cannot
        take it now.
        """
        ticket = _Ticket(work)
        self._waiting.append(ticket)
        with self._turn:
            if not ticket.done:
                time.sleep(0)  # whoever is ready to write gets on board
                with self._between():
                    while not ticket.done:
                        self._commit_some()
        if ticket.error is not None:
            raise ticket.error
        result: T = ticket.result
        return result

    def _commit_some(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
        try:
            self._commit(batch)
        except BaseException as error:
            if len(batch) == 1 or _is_unwell(error):
                self._fail(batch, error)
            else:
                for ticket in batch:
                    self._commit_alone(ticket)
        for ticket in batch:
            ticket.done = True

    def _commit_alone(self, ticket: _Ticket) -> None:
        try:
            self._commit([ticket])
        except BaseException as error:
            self._fail([ticket], error)

    def _commit(self, batch: list[_Ticket]) -> None:
        with self._engine.begin() as transaction:
            for ticket in batch:
                ticket.result = ticket.work(transaction)

    def _fail(self, batch: list[_Ticket], error: BaseException) -> None:
        for ticket in batch:
            ticket.error = unwell(error) if _is_unwell(error) else error


def _is_unwell(error: BaseException) -> bool:
    return isinstance(error, (DBAPIError, PoolTimeout)) and not isinstance(error, IntegrityError)


def unwell(error: BaseException) -> StorageUnwell:
    """The database's complaint in its own words, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return StorageUnwell(f"The database cannot take it now: {str(cause).splitlines()[0]}")

"""Database connections that stay open between transactions.

Getting a connection from the pool takes longer than most of the work that is done with it.
"""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class PersistentConnections:
    """Runs work in transactions and keeps some of the connections open."""

    def __init__(self, engine: Engine, limit: int) -> None:
        """``limit`` connections are kept. With 0 each comes from the pool, which tests it first."""
        self._engine = engine
        self._limit = limit
        self._free: list[Connection] = []

    def __bool__(self) -> bool:
        return bool(self._free)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in its own transaction and commit it.

        After a failure all connections go back to the pool, which tests each before its next use.
        """
        connection = self._free.pop() if self._free else self._engine.connect()
        try:
            with connection.begin():
                result = work(connection)
        except BaseException:
            connection.close()
            self.close()
            raise
        self._free.append(connection) if len(self._free) < self._limit else connection.close()
        return result

    def close(self) -> None:
        """Give the kept connections back to the pool."""
        while self._free:
            self._free.pop().close()

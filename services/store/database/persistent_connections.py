"""Connections that stay open: to get one from the pool takes longer than most of what is done."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class PersistentConnections:
    """Runs work in transactions on connections of which it keeps some open in between."""

    def __init__(self, engine: Engine, most: int) -> None:
        """``most`` is how many are kept; with 0 each comes from the pool, which looks at it."""
        self._engine = engine
        self._most = most
        self._free: list[Connection] = []

    def __bool__(self) -> bool:
        return bool(self._free)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own and commit it.

        After a failure all go back to the pool, which looks at each before it gives it away.
        """
        connection = self._free.pop() if self._free else self._engine.connect()
        try:
            with connection.begin():
                result = work(connection)
        except BaseException:
            connection.close()
            self.close()
            raise
        self._free.append(connection) if len(self._free) < self._most else connection.close()
        return result

    def close(self) -> None:
        """Give those back that are kept."""
        while self._free:
            self._free.pop().close()

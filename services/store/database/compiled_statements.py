"""Statements of the road that every text takes: compiled once, then run on the driver itself.

SQLAlchemy's own execution takes several times as long as such a statement (15 µs against 3), and a
text needs about ten of them.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError

Convert = Callable[[Any], Any]


class CompiledStatement:
    """A statement, given as a function that makes it for a transaction's kind of database.

    Values are bound by name, those of an ``INSERT`` by the names of its columns; every call gives
    the same ones. Errors are SQLAlchemy's.
    """

    def __init__(self, make: Callable[[Connection], Any]) -> None:
        self._make = make
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, tx: Connection, **values: Any) -> list[Any]:
        """Run it and return the rows, with the names of their columns."""
        compiled = self._for(tx, values)
        cursor = compiled.run(tx, values)
        return [compiled.row(found, cursor) for found in cursor.fetchall()]

    def row(self, tx: Connection, **values: Any) -> Any:
        """Run it and return the first row, or ``None``."""
        compiled = self._for(tx, values)
        cursor = compiled.run(tx, values)
        found = cursor.fetchone()
        return compiled.row(found, cursor) if found is not None else None

    def change(self, tx: Connection, **values: Any) -> int:
        """Run it and return how many rows it has changed."""
        return int(self._for(tx, values).run(tx, values).rowcount)

    def _for(self, tx: Connection, values: Mapping[str, Any]) -> "_Compiled":
        compiled = self._compiled.get(tx.dialect.name)
        if compiled is None:
            compiled = _Compiled(self._make(tx), tx.dialect, list(values))
            self._compiled[tx.dialect.name] = compiled
        return compiled


class _Compiled:
    """A statement compiled for one kind of database."""

    def __init__(self, statement: Any, dialect: Dialect, names: list[str]) -> None:
        columns = names if statement.is_insert else None
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self._text = str(compiled)
        self._dialect = dialect
        self._order: list[str] | None = compiled.positiontup  # none: the driver takes names
        self._constants = {name: compiled.params[name] for name in compiled.params}
        self._to_driver = _converters(
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for bind, name in compiled.bind_names.items()
        )
        self._told = list(statement.exported_columns)
        self._row: Any = namedtuple("_row", [column.key for column in self._told])  # type: ignore[misc]
        self._from_driver: list[tuple[int, Convert]] | None = None

    def run(self, tx: Connection, values: Mapping[str, Any]) -> Any:
        """Run it; returns the driver's cursor."""
        bound = {**self._constants, **values}
        for name, convert in self._to_driver:
            bound[name] = convert(bound[name])
        given = bound if self._order is None else [bound[name] for name in self._order]
        driver: Any = tx.connection.dbapi_connection
        try:
            return driver.execute(self._text, given)
        except self._dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(
                self._text, None, error, Exception, hide_parameters=True, dialect=self._dialect
            ) from error

    def row(self, found: Sequence[Any], cursor: Any) -> Any:
        """A row of the driver's with the names of its columns."""
        dialect = self._dialect
        if self._from_driver is None:
            kinds = [described[1] for described in cursor.description]
            self._from_driver = _converters(
                (place, column.type.dialect_impl(dialect).result_processor(dialect, kind))
                for place, (column, kind) in enumerate(zip(self._told, kinds, strict=True))
            )
        if self._from_driver:
            found = list(found)
            for place, convert in self._from_driver:
                found[place] = convert(found[place])
        return self._row._make(found)


def _converters(found: Iterable[tuple[Any, Convert | None]]) -> list[tuple[Any, Convert]]:
    return [(key, convert) for key, convert in found if convert is not None]

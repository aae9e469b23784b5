"""SQL statements that are compiled once and then run directly on the database driver.

They are for the statements that every message needs, about ten for each: SQLAlchemy takes 15 µs to
execute a statement that takes 3 µs here.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError

Convert = Callable[[Any], Any]


class CompiledStatement:
    """One statement, compiled at its first use with SQLite and with PostgreSQL.

    ``make`` builds it for the database of a transaction. Values are bound by name, those of an
    ``INSERT`` by the names of its columns; every call must give values for the same names. Raises
    SQLAlchemy's ``DBAPIError``.
    """

    def __init__(self, make: Callable[[Connection], Any]) -> None:
        self._make = make
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, tx: Connection, **values: Any) -> list[Any]:
        """Run it and return the rows as named tuples."""
        compiled = self._for(tx, values)
        cursor = compiled.run(tx, values)
        return [compiled.row(found, cursor) for found in cursor.fetchall()]

    def row(self, tx: Connection, **values: Any) -> Any:
        """Run it and return the first row as a named tuple, or ``None``."""
        compiled = self._for(tx, values)
        cursor = compiled.run(tx, values)
        found = cursor.fetchone()
        return compiled.row(found, cursor) if found is not None else None

    def change(self, tx: Connection, **values: Any) -> int:
        """Run it and return the number of changed rows."""
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
        keys = names if statement.is_insert else None
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self._text = str(compiled)
        self._dialect = dialect
        self._order: list[str] | None = compiled.positiontup  # ``None``: the driver binds by name
        self._constants = {name: compiled.params[name] for name in compiled.params}
        self._to_driver = _converters(
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for bind, name in compiled.bind_names.items()
        )
        self._columns = list(statement.exported_columns)
        self._row: Any = namedtuple("_row", [column.key for column in self._columns])  # type: ignore[misc]
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
        """A row of the driver as a named tuple, its values converted as SQLAlchemy does."""
        dialect = self._dialect
        if self._from_driver is None:
            type_codes = [column[1] for column in cursor.description]
            self._from_driver = _converters(
                (index, column.type.dialect_impl(dialect).result_processor(dialect, code))
                for index, (column, code) in enumerate(zip(self._columns, type_codes, strict=True))
            )
        if self._from_driver:
            found = list(found)
            for index, convert in self._from_driver:
                found[index] = convert(found[index])
        return self._row._make(found)


def _converters(found: Iterable[tuple[Any, Convert | None]]) -> list[tuple[Any, Convert]]:
    return [(key, convert) for key, convert in found if convert is not None]

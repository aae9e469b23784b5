"""SQL statements that are compiled once and then run directly on the database driver.

They are for the statements that every message needs: SQLAlchemy takes 15 µs to execute a statement
that takes 3 µs here. ``CompiledStatement.insert`` adds many rows by one statement.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError

Convert = Callable[[Any], Any]
MOST_ROWS = 50  # of one INSERT: each number of rows is a statement of its own
_VALUES = re.compile(r"VALUES (\(.*?\))(?= ON CONFLICT| RETURNING|$)", re.DOTALL)
_NAMED = re.compile(r"%\((\w+)\)s")


class CompiledStatement:
    """One statement, compiled at its first use with SQLite and with PostgreSQL.

    ``make`` builds it for the database of a transaction. Values are bound by name, those of an
    ``INSERT`` by the names of its columns; every call must give values for the same names. For an
    expanding parameter (``IN``) the value is a list with at least one element. Raises SQLAlchemy's
    ``DBAPIError``.
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

    def insert(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Run an ``INSERT`` for many rows at once and return what it returns, in any order."""
        found: list[Any] = []
        for first in range(0, len(rows), MOST_ROWS):
            part = rows[first : first + MOST_ROWS]
            compiled = self._for(tx, part[0])
            cursor = compiled.run_many(tx, part)
            found += [compiled.row(one, cursor) for one in cursor.fetchall()]
        return found

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
        self._texts: dict[int, str] = {}
        self._lists = [bind.key for bind in compiled.post_compile_params]
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
        bound = self._bound(values)
        text, order = self._text, self._order
        for name in self._lists:
            text, order = _expanded(text, order, name, bound)
        given = bound if order is None else [bound[name] for name in order]
        return self._execute(tx, text, given)

    def run_many(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Run an ``INSERT`` for several rows; returns the driver's cursor."""
        text = self._text_for(len(rows))
        bound = list(map(self._bound, rows))
        if self._order is not None:
            return self._execute(tx, text, [row[name] for row in bound for name in self._order])
        named = {f"{name}_{at}": row[name] for at, row in enumerate(bound) for name in row}
        return self._execute(tx, text, named)

    def _text_for(self, count: int) -> str:
        """The text of an ``INSERT`` with values for so many rows."""
        if count not in self._texts:
            found = _VALUES.search(self._text)
            if found is None:
                raise ValueError("This statement has no values.")
            row = found[1]
            if self._order is None:
                row = ", ".join(_NAMED.sub(rf"%(\1_{at})s", row) for at in range(count))
            else:
                row = ", ".join([row] * count)
            self._texts[count] = self._text[: found.start(1)] + row + self._text[found.end(1) :]
        return self._texts[count]

    def _bound(self, values: Mapping[str, Any]) -> dict[str, Any]:
        bound = {**self._constants, **values}
        for name, convert in self._to_driver:
            bound[name] = convert(bound[name])
        return bound

    def _execute(self, tx: Connection, text: str, given: Any) -> Any:
        driver: Any = tx.connection.dbapi_connection
        try:
            return driver.execute(text, given)
        except self._dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(
                text, None, error, Exception, hide_parameters=True, dialect=self._dialect
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


def _expanded(
    text: str, order: list[str] | None, name: str, bound: dict[str, Any]
) -> tuple[str, list[str] | None]:
    """A statement with a parameter for each value of a list, and the order of its parameters.

    The last value is repeated up to a power of two, so that there are few different statements.
    """
    values = bound.pop(name)
    values = [*values, *values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values))]
    names = [f"{name}_{at}" for at in range(len(values))]
    bound.update(zip(names, values, strict=True))
    marks = "?, " * len(names) if order is not None else "".join(f"%({one})s, " for one in names)
    text = text.replace(f"__[POSTCOMPILE_{name}]", marks.removesuffix(", "))
    if order is not None:
        at = order.index(name)
        order = [*order[:at], *names, *order[at + 1 :]]
    return text, order


def _converters(found: Iterable[tuple[Any, Convert | None]]) -> list[tuple[Any, Convert]]:
    return [(key, convert) for key, convert in found if convert is not None]

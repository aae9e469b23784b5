"""``INSERT … ON CONFLICT`` (upsert) for SQLite and PostgreSQL.

Both spell it alike, but SQLAlchemy has it only in the classes of each dialect.
"""

from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(tx: Connection, table: Table) -> Any:
    """An ``INSERT`` to which ``on_conflict_do_update`` can be added."""
    return _insert(tx.dialect.name, table)


def insert_new(tx: Connection, table: Table, returning: Column[Any] | None = None) -> Any:
    """An ``INSERT`` that does not change an existing row. The statement is cached."""
    return _insert_new(tx.dialect.name, table, returning)


def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


@cache
def _insert_new(dialect: str, table: Table, returning: Column[Any] | None) -> Any:
    statement = _insert(dialect, table).on_conflict_do_nothing()
    return statement if returning is None else statement.returning(returning)

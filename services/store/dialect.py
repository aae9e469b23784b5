"""The one statement that SQLite and PostgreSQL spell alike and SQLAlchemy does not."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(tx: Connection, table: Table) -> Any:
    """An ``INSERT`` that can say what to do on a conflict."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)

"""Copies a SQLite database to PostgreSQL: every row of every table, all of them or none.

Copying and comparing are one transaction of the target; if it is interrupted, the target is
unchanged. The source cannot be written to meanwhile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from operator import ne
from typing import Any

from sqlalchemy import Connection, Engine, Table, exists, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import clean
from services.core.progress import Progress, silent
from services.store import settings_row
from services.store.database import time_limits
from services.store.database.engine import WRITE
from services.store.database.schema import (
    allowances,
    breaches,
    counters,
    destinations,
    leases,
    ledger,
    message_settings,
    metadata,
    paces,
    search_index,
    sign_ins,
    workers,
)
from services.store.database.writer import unwell
from services.store.search import full_text
from services.store.workers import WORKER_SILENT_SECONDS, silence

BATCH = 500
NOT_COPIED = (message_settings, search_index)  # filled in other ways
TABLES = [table for table in metadata.sorted_tables if table not in NOT_COPIED]
# Tables that have rows after the first start of a server; they are replaced.
FILLED_AT_START = (
    allowances,
    breaches,
    counters,
    destinations,
    leases,
    ledger,
    paces,
    sign_ins,
    workers,
)
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Copied:
    """One copied table.

    ``checksum`` (hex) depends on every value of every row, but not on the order of the rows.
    ``replaced`` counts the texts with a character that PostgreSQL cannot store; it became U+FFFD.
    """

    table: str
    rows: int
    checksum: str
    replaced: int


def copy_database(
    source: Engine, target: Engine, settings: bytes | None, progress: Progress = silent
) -> list[Copied]:
    """Copy SQLite's tables and the document of Message Settings into a migrated PostgreSQL.

    Raises ``RequestRefused`` if the target contains data already, and ``StorageUnwell`` if one of
    the databases fails or the copy differs. The target is unchanged then.
    """
    try:
        with (
            time_limits.patient(),
            source.execution_options(**{WRITE: True}).begin() as reading,
            target.begin() as writing,
        ):
            time_limits.allow(writing, (*time_limits.LONG, "lock_timeout"))
            _refuse_unless_empty(writing, settings)
            for table in FILLED_AT_START:
                writing.execute(table.delete())
            rows = _RowCount(progress, _rows(reading))
            copied = [_copy(reading, writing, table, rows) for table in TABLES]
            full_text.fill(writing)
            if settings is not None and settings_row.document(writing) is None:
                settings_row.put(writing, settings)
            return copied
    except (DBAPIError, PoolTimeout) as error:
        raise unwell(error) from error


def _refuse_unless_empty(target: Connection, settings: bytes | None) -> None:
    if silence(target) < WORKER_SILENT_SECONDS:
        raise RequestRefused(
            "in_use",
            "A delivery worker was at work on the target just now. Stop every node that uses it, "
            "and try again in a minute.",
        )
    for table in TABLES:
        if table not in FILLED_AT_START and target.scalar(select(exists().select_from(table))):
            raise RequestRefused(
                "not_empty",
                f"The target is in use: its table {table.name} has rows. Copy into a database that "
                "nothing was kept in yet.",
            )
    if settings_row.document(target) not in (None, settings):
        raise RequestRefused(
            "not_empty", "The target holds other Message Settings. Copy into a new database."
        )


def _rows(source: Connection) -> int:
    """How many rows there are to copy."""
    counts = (source.scalar(select(func.count()).select_from(table)) for table in TABLES)
    return sum(count or 0 for count in counts)


def _copy(source: Connection, target: Connection, table: Table, count: "_RowCount") -> Copied:
    names = table.columns.keys()
    sent, found, replaced = _Tally(), _Tally(), 0
    try:
        for batch in _batches(source, table):
            rows = [tuple(map(_storable, row)) for row in batch]
            replaced += sum(map(ne, chain(*batch), chain(*rows)))
            target.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])
            sent.add(rows)
            count.add(len(rows))
        for batch in _batches(target, table):
            found.add(batch)
            count.add(len(batch))
        _set_sequence(target, table)
    except DBAPIError as error:
        raise StorageUnwell(f"The table {table.name} cannot be copied. {unwell(error)}") from error
    if (sent.rows, sent.checksum) != (found.rows, found.checksum):
        raise StorageUnwell(f"The copy of the table {table.name} differs; nothing was kept of it.")
    return Copied(table.name, found.rows, found.checksum, replaced)


def _batches(connection: Connection, table: Table) -> Iterator[Rows]:
    yield from connection.execute(select(table).execution_options(yield_per=BATCH)).partitions()


def _storable(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def _set_sequence(target: Connection, table: Table) -> None:
    """Set PostgreSQL's sequence of row ids to the highest copied id."""
    column = table.autoincrement_column
    if column is not None:
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        target.execute(select(func.setval(sequence, func.max(column))))


class _RowCount:
    """Reports the progress: each row is copied once and compared once."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._passed = 0

    def add(self, rows: int) -> None:
        self._passed += rows
        self._progress("rows", self._passed // 2, self._total)


class _Tally:
    """Counts rows and adds up their SHA-256 digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Rows) -> None:
        self.rows += len(rows)
        for row in rows:
            self._sum += int.from_bytes(sha256(repr(tuple(row)).encode()).digest())

    @property
    def checksum(self) -> str:
        return f"{self._sum % 2**256:064x}"

"""The database's clock, which all nodes share: the clock of one machine may be wrong."""

import time

from sqlalchemy import Connection, extract, func, select


def now(tx: Connection) -> float:
    """Seconds since 1970 by the database's clock; for SQLite that is this machine's clock."""
    if tx.dialect.name == "postgresql":
        return float(tx.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())
    return time.time()

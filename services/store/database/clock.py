"""The clock that all nodes share: their own may differ, and a wrong one must not bury a worker."""

import time

from sqlalchemy import Connection, extract, func, select


def now(tx: Connection) -> float:
    """Seconds since 1970 by the database's clock; SQLite's is this machine's."""
    if tx.dialect.name == "postgresql":
        return float(tx.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())
    return time.time()

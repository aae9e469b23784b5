"""Short ids: the last characters of an id, as tables of commands show it.

The first characters of a UUIDv7 are its time and are the same for messages of one moment; the last
ones are random.
"""

import re
from typing import Literal

from sqlalchemy import Connection, select

from services.store.database import schema

LENGTH = 8  # hexadecimal digits; one of a million messages shares them in one of 4000 tables
_SHORT = re.compile(r"[0-9a-f]{4,12}")
_TABLES = {
    "message": schema.messages,
    "device": schema.devices,
    "bulk send": schema.bulk_sends,
}
Kind = Literal["message", "device", "bulk send"]
MOST = 5  # ids of which one is to be chosen


def short_id(whole: str) -> str:
    """The last characters of an id.

    >>> short_id("01931c6a-4a00-7c3e-9d2b-5b1f0a9c3e77")
    '0a9c3e77'
    """
    return whole[-LENGTH:]


def ending_with(tx: Connection, kind: Kind, written: str) -> list[str]:
    """The ids with this ending, at most ``MOST``; none where it is no short id."""
    ending = written.strip().lower()
    if not _SHORT.fullmatch(ending):
        return []
    column = _TABLES[kind].c.id
    statement = select(column).where(column.like(f"%{ending}")).order_by(column).limit(MOST)
    return [str(found) for (found,) in tx.execute(statement)]

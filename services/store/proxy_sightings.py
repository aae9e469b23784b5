"""Table of undeclared proxies: the last one of each kind, with the time of its last request.

There are three rows at most, whatever is sent: they are in the table of the carriers' events, under
a name that no carrier has.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from services.store.database.schema import sightings
from services.store.database.upsert import insert

PROVIDER = "(proxy)"


class ProxyKind(StrEnum):
    """What is known about the sender of a header that proxies set."""

    NEAR = "near"  # on this machine or in a private network: a proxy that is not declared
    FAR = "far"  # a public address: a proxy that is not declared, or a client that made it up
    SILENT = "silent"  # a declared proxy that does not name its client in X-Forwarded-For


@dataclass(frozen=True, slots=True)
class ProxySighting:
    """The address of the connection, and when it was last seen (seconds since 1970)."""

    kind: ProxyKind
    address: str
    at: float


def put(tx: Connection, kind: ProxyKind, address: str) -> None:
    """Store a sighting that happens now, in the place of the last one of its kind."""
    values = {"at": time.time(), "words": address}
    statement = insert(tx, sightings).values(provider=PROVIDER, event=str(kind), **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["provider", "event"], set_=values))


def all_sightings(tx: Connection) -> list[ProxySighting]:
    """The last sighting of each kind."""
    rows = tx.execute(
        select(sightings).where(sightings.c.provider == PROVIDER).order_by(sightings.c.event)
    )
    return [ProxySighting(ProxyKind(row.event), row.words, row.at) for row in rows]

"""Undeclared proxies: the last one of each kind, with the time of its last request.

There are three rows at most, whatever is sent.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from services.store import sightings
from services.store.sightings import Subject


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
    sightings.put(tx, Subject.PROXY, str(kind), address)


def all_sightings(tx: Connection) -> list[ProxySighting]:
    """The last sighting of each kind."""
    found = sightings.of(tx, Subject.PROXY)
    return [ProxySighting(ProxyKind(one.kind), one.text, one.at) for one in found]

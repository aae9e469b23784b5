"""Sightings: what was last seen of each of a few kinds, with its time, for the operator's view.

They are rows of the table of the carriers' events (``sightings``), under names that no carrier has.
The kinds are fixed names of this program, so that no stranger can add rows.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, select

from services.store.database.schema import sightings
from services.store.database.upsert import insert


class Subject(StrEnum):
    """What the sightings are about."""

    PROXY = "(proxy)"  # undeclared proxies, by ``ProxyKind``
    WEBHOOK = "(webhook)"  # paths of webhooks that nobody serves, by the carrier they resemble
    CERTIFICATE = "(certificate)"  # of the web server at APP_URL, as it was last seen
    NAME = "(name)"  # why the host of APP_URL could not be resolved
    DOCTOR = "(doctor)"  # the last report of the operator's pages
    CLOCK = "(clock)"  # by how many seconds the clock of a machine is ahead of a carrier's


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last sighting of a kind: its text, and when it was (seconds since 1970)."""

    kind: str
    text: str
    at: float


def put(tx: Connection, subject: Subject, kind: str, text: str) -> None:
    """Store a sighting that happens now, in the place of the last one of its kind."""
    values = {"at": time.time(), "words": text}
    statement = insert(tx, sightings).values(provider=str(subject), event=kind, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["provider", "event"], set_=values))


def of(tx: Connection, subject: Subject) -> list[Sighting]:
    """The last sighting of each kind."""
    theirs = select(sightings).where(sightings.c.provider == str(subject))
    rows = tx.execute(theirs.order_by(sightings.c.event))
    return [Sighting(row.event, row.words, row.at) for row in rows]


def forget(tx: Connection, subject: Subject, kind: str) -> None:
    """Delete the sighting of a kind."""
    this = (sightings.c.provider == str(subject), sightings.c.event == kind)
    tx.execute(delete(sightings).where(*this))

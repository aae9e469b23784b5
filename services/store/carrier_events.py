"""Sightings: when something last happened with a carrier, one row for each kind of thing."""

import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from services.store.database.schema import sightings
from services.store.database.upsert import insert


class CarrierEventKind(StrEnum):
    """What is remembered of a carrier."""

    WEBHOOK = "webhook"  # an authentic call of the carrier
    REFUSED = "refused"  # a call that could not prove that it is the carrier's
    SENT = "sent"  # a message that the carrier took
    ERROR = "error"  # a send that did not succeed
    CHECK = "check"  # the last check of the credentials: JSON of its findings


@dataclass(frozen=True, slots=True)
class CarrierEvent:
    """The last time that something happened, and what was said about it."""

    at: float
    words: str


def put(tx: Connection, provider: str, event: CarrierEventKind, words: str) -> None:
    """Remember that something happened with a carrier just now."""
    values = {"at": time.time(), "words": words}
    statement = insert(tx, sightings).values(provider=provider, event=str(event), **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["provider", "event"], set_=values))


def of(tx: Connection, provider: str) -> dict[CarrierEventKind, CarrierEvent]:
    """What is remembered of a carrier."""
    rows = tx.execute(select(sightings).where(sightings.c.provider == provider))
    return {CarrierEventKind(row.event): CarrierEvent(row.at, row.words) for row in rows}

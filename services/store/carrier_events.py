"""Table of carrier events: when each kind of event last happened with a carrier."""

import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from services.store.database.schema import sightings
from services.store.database.upsert import insert


class CarrierEventKind(StrEnum):
    """The kinds of events; the last one of each kind is stored."""

    WEBHOOK = "webhook"  # an authentic webhook call
    REFUSED = "refused"  # a webhook call without valid authentication
    SENT = "sent"  # a message that the carrier has accepted
    ERROR = "error"  # a send that failed
    CHECK = "check"  # the last check of the credentials: JSON of its findings


@dataclass(frozen=True, slots=True)
class CarrierEvent:
    """The last event of a kind: its time and a text, see ``CarrierEventKind``."""

    at: float
    detail: str


def put(tx: Connection, provider: str, event: CarrierEventKind, detail: str) -> None:
    """Store an event of a carrier that happens now."""
    values = {"at": time.time(), "words": detail}
    statement = insert(tx, sightings).values(provider=provider, event=str(event), **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["provider", "event"], set_=values))


def of(tx: Connection, provider: str) -> dict[CarrierEventKind, CarrierEvent]:
    """The last events of a carrier."""
    rows = tx.execute(select(sightings).where(sightings.c.provider == provider))
    return {CarrierEventKind(row.event): CarrierEvent(row.at, row.words) for row in rows}

"""Reconnecting of what a worker listens to: the pause that the operator sees, and the waiting."""

import time
from collections.abc import Callable

import structlog

from services.core.errors import DeliveryError, Kind, StorageUnwell
from services.store import circuit_breakers
from services.store.database import clock
from services.store.database.store import Store

log = structlog.get_logger()
NOTICE_SECONDS = 0.5  # until a wait ends after ``alive`` says no


def record_pause(store: Store, destination: str, error: DeliveryError, seconds: float) -> None:
    """Record why a destination is not connected for so long, so that the operator sees it."""
    try:
        store.write(
            lambda tx: circuit_breakers.pause(
                tx,
                destination,
                clock.now(tx) + seconds,
                error.reason,
                config=error.kind is Kind.CONFIG,
            )
        )
    except StorageUnwell as failure:
        log.error("cannot record a pause", reason=str(failure))


def sleep_while(alive: Callable[[], bool], seconds: float) -> None:
    """Sleep for so long, or until ``alive`` says no."""
    end = time.monotonic() + seconds
    while alive() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, NOTICE_SECONDS))

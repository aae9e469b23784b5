"""Audit: checks every minute that every inbound message is stored or was delivered."""

import time
from functools import partial

import structlog

from services.store.database.store import Store
from services.store.maintenance import invariant_violations, invariants
from services.store.maintenance.invariant_violations import Violation
from services.store.maintenance.invariants import Checkpoint

log = structlog.get_logger()
THOROUGH_SECONDS = 3600.0  # between two complete checks


class Audit:
    """Checks the invariants, and keeps the violations where every process sees them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark: Checkpoint | None = None
        self._thorough_at = 0.0

    def check(self, *, thorough: bool = False) -> list[Violation]:
        """Check the invariants; returns the violations. Raises ``StorageUnwell``.

        Counts what is new since the last check. A complete check runs once an hour, with
        ``thorough``, and before the reported violations change.
        """
        thorough = thorough or time.monotonic() - self._thorough_at > THOROUGH_SECONDS
        found = self._run(thorough=thorough)
        known = self._store.read(invariant_violations.current)
        if not thorough and _names(found) != _names(known):
            found = self._run(thorough=True)
        if {(b.invariant, b.reason) for b in found} != {(b.invariant, b.reason) for b in known}:
            self._store.write(partial(invariant_violations.put, found=found))
            _log_changes(found, known)
        return found

    def settle(self) -> list[Violation]:
        """Accept what is there, see ``invariants.settle``; returns what is left."""
        self._store.write(invariants.settle)
        return self.check(thorough=True)

    def _run(self, *, thorough: bool) -> list[Violation]:
        mark = None if thorough else self._mark
        balance = self._store.read(partial(invariants.check, since=mark))
        self._mark = balance.checkpoint
        if mark is None:
            self._thorough_at = time.monotonic()
        return balance.violations()


def _names(found: list[Violation]) -> set[str]:
    return {violation.invariant for violation in found}


def _log_changes(found: list[Violation], known: list[Violation]) -> None:
    for violation in found:
        log.error(
            "an audit invariant is violated", invariant=violation.invariant, reason=violation.reason
        )
    for name in _names(known) - _names(found):
        log.info("an audit invariant holds again", invariant=name)

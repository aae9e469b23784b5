"""Health checks of ``/ready``, warnings for the operator, and figures of the work to be done."""

import math
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.config.environment import Environment
from services.core.errors import StorageUnwell
from services.core.messages import rfc3339
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.operations.undeclared_proxies import UndeclaredProxies
from services.operations.write_probe import WriteProbe
from services.store import circuit_breakers, jobs, quarantine, unrouted, workers
from services.store.circuit_breakers import Pause
from services.store.database import clock
from services.store.database.engine import sqlite_fault
from services.store.database.migrate import head, version
from services.store.database.store import Store
from services.store.maintenance import invariant_violations
from services.store.maintenance.invariant_violations import Violation
from services.store.workers import WORKER_SILENT_SECONDS

LEAST_FREE_BYTES = 64_000_000
CLOCK_SECONDS = 5.0  # by which a machine's clock may differ from the database's
_LONG_NUMBERS = re.compile(r"\+?\d{6,}")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well; ``reason`` says what is wrong and what to do about it."""

    name: str
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """One thing that an operator should look at while the service goes on.

    ``about`` is the destination that it concerns, if it concerns one.
    """

    name: str
    reason: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the database says about the work: ``jobs`` by (kind, state), times in seconds.

    Jobs that are done are not counted. ``worker_silent`` is infinite before the first worker;
    ``clock_ahead`` is by how much this machine's clock is ahead of the database's.
    """

    jobs: Mapping[tuple[str, str], int]
    oldest_due: float
    unrouted: int
    quarantined: int
    pauses: tuple[Pause, ...]
    worker_silent: float
    clock_ahead: float
    breaches: tuple[Violation, ...]

    @property
    def dead(self) -> int:
        """How many jobs were given up."""
        return sum(count for (_, state), count in self.jobs.items() if state == "dead")


class Health:
    """Looks at the database, the disk, the worker, Message Settings and the environment."""

    def __init__(
        self,
        store: Store,
        settings: MessageSettings,
        media: MediaStore,
        environment: Environment,
        proxies: UndeclaredProxies,
    ) -> None:
        self._store = store
        self._settings = settings
        self._media = media
        self._environment = environment
        self._proxies = proxies
        self._write_probe = WriteProbe(store)

    def checks(self) -> list[Check]:
        """Everything that must be well for messages to be taken and delivered."""
        reasons = {
            "database": self._write_probe.problem(),
            "schema": self._schema(),
            "disk": self._disk(),
            "worker": self._worker(),
            "settings": self._settings.problem or "",
        }
        return [Check(name, not reason, reason) for name, reason in reasons.items()]

    def warnings(self) -> list[Warned]:
        """Everything that waits for the operator, as far as the database can be read."""
        try:
            known = self.figures()
        except StorageUnwell:
            return [*self._bucket()]
        return [
            *_lost(known.breaches),
            *self._outdated(),
            *self._bucket(),
            *_paused(known.pauses),
            *_waiting(known),
            *self._newer(),
            *_clock(known),
            *self._old_sqlite(),
            *self._undeclared(),
        ]

    def figures(self) -> Figures:
        """What the database says about the work. Raises ``StorageUnwell``."""
        return self._store.read(_figures)

    def free_bytes(self) -> int:
        """The free space of the storage folder. Raises ``OSError``."""
        return shutil.disk_usage(self._environment.service.storage_path).free

    # The checks: each returns what is wrong, or nothing.

    def _schema(self) -> str:
        try:
            lacks = version(self._store.engine) < head()
        except (DBAPIError, PoolTimeout):
            return "The database cannot be read."
        return "The database lacks a migration. Start Textbridge again." if lacks else ""

    def _disk(self) -> str:
        try:
            free = self.free_bytes()
        except OSError as error:
            return f"The storage folder cannot be reached: {error.strerror}."
        if free < LEAST_FREE_BYTES:
            least = LEAST_FREE_BYTES // 1_000_000
            return f"{free // 1_000_000} MB are free in the storage folder; it needs {least} MB."
        return ""

    def _worker(self) -> str:
        try:
            silent = self._store.read(workers.silence)
        except StorageUnwell:
            return "Whether the delivery worker runs stands in the database, which cannot be read."
        if silent <= WORKER_SILENT_SECONDS:
            return ""
        own = self._environment.service.delivery_worker
        remedy = "Start Textbridge again." if own else "Start `flask worker` on one of the nodes."
        if math.isinf(silent):
            first = "No delivery worker has started yet."
            return first if own else f"No delivery worker yet. {remedy}"
        return f"The delivery worker has been silent for {silent:.0f} seconds. {remedy}"

    # The warnings

    def _outdated(self) -> Iterator[Warned]:
        if self._environment.is_outdated():
            yield Warned("env", "`.env` was changed after it was read. Run `flask config reload`.")

    def _bucket(self) -> Iterator[Warned]:
        """No check: with a bucket that is unwell texts still go both ways, and pictures wait."""
        trouble = self._media.backend.problem()
        if trouble:
            yield Warned("media", trouble)

    def _newer(self) -> Iterator[Warned]:
        """No check: nodes are upgraded one after the other, and the others must go on meanwhile."""
        try:
            found = version(self._store.engine)
        except (DBAPIError, PoolTimeout):
            return
        if found > head():
            reason = "The database belongs to a newer Textbridge. Upgrade this machine."
            yield Warned("schema", reason)

    def _undeclared(self) -> Iterator[Warned]:
        """No check: any stranger can send the headers of a proxy."""
        with suppress(StorageUnwell):
            for reason in self._proxies.warnings():
                yield Warned("proxy", reason)

    def _old_sqlite(self) -> Iterator[Warned]:
        fault = sqlite_fault()
        if fault and self._store.engine.dialect.name == "sqlite":
            yield Warned("sqlite", fault)


def _figures(tx: Connection) -> Figures:
    now = time.time()
    return Figures(
        jobs=jobs.counts(tx),
        oldest_due=jobs.oldest_due(tx, now),
        unrouted=len(unrouted.numbers(tx)),
        quarantined=quarantine.count(tx),
        pauses=tuple(p for p in circuit_breakers.unwell(tx) if p.config or p.until > now),
        worker_silent=workers.silence(tx),
        clock_ahead=time.time() - clock.now(tx),
        breaches=tuple(invariant_violations.current(tx)),
    )


def _lost(found: tuple[Violation, ...]) -> Iterator[Warned]:
    """No check: taking this node out of service would bring nothing back."""
    for breach in found:
        since = rfc3339(breach.since)
        reason = f"{breach.reason} Found {since}; `flask messages check` counts anew."
        yield Warned("conservation", reason)


def _paused(pauses: tuple[Pause, ...]) -> Iterator[Warned]:
    for pause in pauses:
        wait = "until its settings are mended" if pause.config else "for a while, as it asked for"
        reason = _LONG_NUMBERS.sub("…", pause.reason)  # may quote a person's number
        yield Warned("paused", f"Nothing goes to {pause.name} {wait}: {reason}", pause.name)


def _waiting(known: Figures) -> Iterator[Warned]:
    if known.unrouted:
        yield Warned(
            "unrouted",
            f"Messages to {_counted(known.unrouted, 'number')} wait because Message Settings give "
            "them to nobody.",
        )
    if known.dead:
        yield Warned("dead", f"{_counted(known.dead, 'delivery', 'deliveries')} given up.")
    if known.quarantined:
        yield Warned(
            "quarantine",
            f"{_counted(known.quarantined, 'webhook')} could not be read. Look at them with "
            "`flask quarantine list`.",
        )


def _clock(known: Figures) -> Iterator[Warned]:
    if abs(known.clock_ahead) > CLOCK_SECONDS:
        side = "ahead of" if known.clock_ahead > 0 else "behind"
        yield Warned(
            "clock",
            f"This machine's clock is {abs(known.clock_ahead):.0f} seconds {side} the database's: "
            "texts may leave late. Set both by a time server.",
        )


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or f'{one}s'}"

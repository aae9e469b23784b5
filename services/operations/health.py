"""Health checks of ``/ready``, warnings for the operator, and figures of the job queue."""

import math
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.config.environment import Environment
from services.core.commands import flask_command
from services.core.errors import StorageUnwell
from services.core.messages import rfc3339
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.operations.config_findings import ConfigFindings
from services.operations.mistake_warnings import (
    HealthWarning,
    MistakeWarnings,
    without_numbers,
)
from services.operations.undeclared_proxies import UndeclaredProxies
from services.operations.write_probe import WriteProbe
from services.store import circuit_breakers, inbox, jobs, quarantine, unrouted, workers
from services.store.circuit_breakers import Pause
from services.store.database import clock
from services.store.database.engine import sqlite_fault
from services.store.database.migrate import head, version
from services.store.database.store import Store
from services.store.maintenance import invariant_violations
from services.store.maintenance.invariant_violations import Violation
from services.store.workers import WORKER_SILENT_SECONDS

LISTED = 5  # numbers before “and 12 more”
LEAST_FREE_BYTES = 64_000_000
LOW_FREE_BYTES = 500_000_000  # below which it is a warning
INBOX_SECONDS = 30.0  # after which an unprocessed call is a warning
CLOCK_SECONDS = 5.0  # by which a machine's clock may differ from the database's


@dataclass(frozen=True, slots=True)
class Check:
    """One health check; ``reason`` is what is wrong, with the remedy."""

    name: str
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of the job queue: ``jobs`` by (kind, state), times in seconds.

    Jobs that are done are not counted. ``worker_silent`` is infinite before the first worker;
    ``clock_ahead`` is by how much this machine's clock is ahead of the database's.
    """

    jobs: Mapping[tuple[str, str], int]
    oldest_due: float
    inbox: int  # webhook calls that are not processed yet
    inbox_oldest: float  # for how long the oldest of them has waited
    unrouted: tuple[str, ...]  # our numbers with unassigned messages
    quarantined: int
    pauses: tuple[Pause, ...]
    worker_silent: float
    clock_ahead: float
    violations: tuple[Violation, ...]

    @property
    def dead(self) -> int:
        """How many jobs were given up."""
        return sum(count for (_, state), count in self.jobs.items() if state == "dead")


class Health:
    """Checks the database, the disk, the worker, Message Settings and the environment."""

    def __init__(
        self,
        store: Store,
        settings: MessageSettings,
        media: MediaStore,
        environment: Environment,
        proxies: UndeclaredProxies,
        findings: ConfigFindings,
        mistakes: MistakeWarnings,
    ) -> None:
        self._store = store
        self._settings = settings
        self._media = media
        self._environment = environment
        self._proxies = proxies
        self._findings = findings
        self._mistakes = mistakes
        self._write_probe = WriteProbe(store)

    def checks(self) -> list[Check]:
        """The checks that must pass for messages to be received and delivered."""
        reasons = {
            "database": self._database(),
            "schema": self._schema(),
            "disk": self._disk(),
            "worker": self._worker(),
            "settings": self._settings_broken(),
        }
        return [Check(name, not reason, reason) for name, reason in reasons.items()]

    def warnings(self) -> list[HealthWarning]:
        """All warnings, as far as the database can be read."""
        try:
            known = self.figures()
        except StorageUnwell:
            return [*self._configuration(), *self._bucket()]
        return [
            *_violated(known.violations),
            *self._configuration(),
            *self._bucket(),
            *_paused(known.pauses),
            *_waiting(known, self._environment.carriers),
            *self._newer(),
            *_clock(known),
            *self._old_sqlite(),
            *self._undeclared(),
            *self._nearly_full(),
            *self._found_mistakes(known),
        ]

    def figures(self) -> Figures:
        """The figures of the job queue. Raises ``StorageUnwell``."""
        return self._store.read(_figures)

    def free_bytes(self) -> int:
        """The free space of the storage folder. Raises ``OSError``."""
        return shutil.disk_usage(self._environment.service.storage_path).free

    # The checks: each returns what is wrong, or an empty text.

    def _database(self) -> str:
        try:
            self._store.require_file()
        except StorageUnwell as error:
            return str(error)
        return self._write_probe.problem()

    def _schema(self) -> str:
        try:
            lacks = version(self._store.engine) < head()
        except (DBAPIError, PoolTimeout, StorageUnwell):
            return "The database cannot be read."
        return "The database lacks a migration. Start Textbridge again." if lacks else ""

    def _settings_broken(self) -> str:
        problem = self._settings.problem
        return f"{problem} {self._settings.remedy}" if problem else ""

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
        return f"{self._no_worker(silent)}{self._inbox()}"

    def _no_worker(self, silent: float) -> str:
        own = self._environment.service.delivery_worker
        remedy = "Start Textbridge again."
        if not own:
            remedy = (
                f"Start `{flask_command('worker')}` on one of the nodes, or set "
                "DELIVERY_WORKER=true on this one and start Textbridge again."
            )
        if math.isinf(silent):
            first = "No delivery worker has started yet."
            return first if own else f"No delivery worker yet. {remedy}"
        return f"The delivery worker has been silent for {silent:.0f} seconds. {remedy}"

    def _inbox(self) -> str:
        """How many calls wait for a worker, as a sentence; nothing for an empty inbox."""
        count, seconds = self._store.read(_waiting_calls)
        if not count:
            return ""
        calls = _counted(count, "webhook call")
        return f" {calls} in the inbox; the oldest has waited for {seconds:.0f} seconds."

    # The warnings

    def _configuration(self) -> Iterator[HealthWarning]:
        """Warnings, no checks: the service does its work with this configuration."""
        outdated = self._findings.outdated()
        for problem in self._findings.all():
            yield HealthWarning("env" if problem in outdated else "configuration", str(problem))

    def _bucket(self) -> Iterator[HealthWarning]:
        """A warning, no check: without the bucket texts are still delivered, and files wait."""
        trouble = self._media.backend.problem()
        if trouble:
            yield HealthWarning("media", trouble)

    def _newer(self) -> Iterator[HealthWarning]:
        """A warning, no check: nodes are upgraded one by one while the others run."""
        try:
            found = version(self._store.engine)
        except (DBAPIError, PoolTimeout, StorageUnwell):
            return
        if found > head():
            reason = (
                "The database belongs to a newer Textbridge. Upgrade this machine, or go back to "
            )
            reason += "the copy from before the upgrade: docs/install.md."
            yield HealthWarning("schema", reason)

    def _undeclared(self) -> Iterator[HealthWarning]:
        """No check: any stranger can send the headers of a proxy."""
        with suppress(StorageUnwell):
            for reason in self._proxies.warnings():
                yield HealthWarning("proxy", reason)

    def _nearly_full(self) -> Iterator[HealthWarning]:
        with suppress(OSError):  # the check of the disk says so
            free = self.free_bytes()
            if LEAST_FREE_BYTES <= free < LOW_FREE_BYTES:
                reason = (
                    f"Only {free // 1_000_000} MB are free in the storage folder; below "
                    f"{LEAST_FREE_BYTES // 1_000_000} MB no text is taken. Free space on it, or "
                    "let old files be deleted: KEEP_MEDIA_DAYS in .env."
                )
                yield HealthWarning("disk", reason)

    def _found_mistakes(self, known: Figures) -> list[HealthWarning]:
        with suppress(StorageUnwell):
            return self._mistakes.all({pause.name for pause in known.pauses})
        return []

    def _old_sqlite(self) -> Iterator[HealthWarning]:
        fault = sqlite_fault()
        if fault and self._store.engine.dialect.name == "sqlite":
            yield HealthWarning("sqlite", fault)


def _figures(tx: Connection) -> Figures:
    now = clock.now(tx)
    calls, waited = _waiting_calls(tx)
    return Figures(
        jobs=jobs.counts(tx),
        oldest_due=jobs.oldest_due(tx, now),
        inbox=calls,
        inbox_oldest=waited,
        unrouted=tuple(sorted(unrouted.numbers(tx))),
        quarantined=quarantine.count(tx),
        pauses=tuple(p for p in circuit_breakers.unwell(tx) if p.config or p.until > now),
        worker_silent=workers.silence(tx),
        clock_ahead=time.time() - clock.now(tx),
        violations=tuple(invariant_violations.current(tx)),
    )


def _waiting_calls(tx: Connection) -> tuple[int, float]:
    """How many calls are in the inbox, and for how many seconds the oldest has waited."""
    since = inbox.oldest_received_at(tx)
    waited = 0.0 if since is None else max(0.0, clock.now(tx) - since)
    return inbox.count(tx), waited


def _violated(found: tuple[Violation, ...]) -> Iterator[HealthWarning]:
    """Warnings, no checks: taking this node out of service would repair nothing."""
    for violation in found:
        since = rfc3339(violation.since)
        command = flask_command("messages check")
        reason = f"{violation.reason} Found {since}; `{command}` counts anew."
        yield HealthWarning("conservation", reason)


def _paused(pauses: tuple[Pause, ...]) -> Iterator[HealthWarning]:
    for pause in pauses:
        wait = "until its settings are fixed" if pause.config else "for a while, as it asked for"
        reason = without_numbers(pause.reason)
        stopped = f"Nothing goes to {pause.name}"
        if pause.name == circuit_breakers.MAILBOX:
            stopped, wait = "Answers to mails are not fetched", "now"
        yield HealthWarning("paused", f"{stopped} {wait}: {reason}", pause.name)


def _waiting(known: Figures, carriers: Collection[str]) -> Iterator[HealthWarning]:
    # Without a worker the check of the worker says it.
    if known.inbox_oldest > INBOX_SECONDS and known.worker_silent <= WORKER_SILENT_SECONDS:
        yield HealthWarning(
            "inbox",
            f"{_counted(known.inbox, 'webhook call')} not processed yet; the oldest has waited for "
            f"{known.inbox_oldest:.0f} seconds. The log of the delivery worker says why.",
        )
    if known.unrouted:
        numbers, first = known.unrouted, known.unrouted[0]
        more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
        carrier = next(iter(carriers)) if len(carriers) == 1 else "…"
        command = flask_command(f"settings set {first} --carrier {carrier} --extension 201")
        yield HealthWarning(
            "unrouted",
            f"{_counted(len(numbers), 'number')} {'has' if len(numbers) == 1 else 'have'} no "
            f"extension yet; messages to {'it' if len(numbers) == 1 else 'them'} wait: "
            f"{', '.join(numbers[:LISTED])}{more}.",
            remedy=f"To give {first} to an extension: `{command}`.",
        )
    if known.dead:
        count = _counted(known.dead, "delivery", "deliveries")
        command = flask_command("messages list --dead")
        yield HealthWarning("dead", f"{count} failed.", remedy=f"To list them: `{command}`.")
    if known.quarantined:
        yield HealthWarning(
            "quarantine",
            f"{_counted(known.quarantined, 'webhook')} could not be read.",
            remedy=f"To list them: `{flask_command('quarantine list')}`.",
        )


def _clock(known: Figures) -> Iterator[HealthWarning]:
    if abs(known.clock_ahead) > CLOCK_SECONDS:
        side = "ahead of" if known.clock_ahead > 0 else "behind"
        yield HealthWarning(
            "clock",
            f"This machine's clock is {abs(known.clock_ahead):.0f} seconds {side} the database's: "
            "the times of its texts are wrong. Set both by a time server.",
        )


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or f'{one}s'}"

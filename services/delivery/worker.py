"""The delivery worker: performs jobs until it is stopped."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog
from filelock import FileLock, Timeout
from gevent.pool import Pool
from sqlalchemy import Connection

from services.core.errors import DeliveryError, Kind, StorageUnwell
from services.delivery.completion_journal import CompletionJournal
from services.delivery.delivery import Delivery
from services.delivery.inbound_channels import InboundChannel
from services.delivery.mailbox_poller import MailboxPoller
from services.delivery.outcome import Outcomes
from services.delivery.periodic_tasks import PeriodicTask, Schedule
from services.delivery.task_leases import TaskLeases
from services.message_settings import MessageSettings
from services.messaging.compose import Composer
from services.messaging.route import Router
from services.push.base import Channel, TwoWayChannel
from services.store import circuit_breakers, jobs, rate_limits, workers
from services.store.database import clock
from services.store.database.engine import sqlite_fault
from services.store.database.store import Store
from services.store.jobs import Job, JobKind, Lease
from services.store.maintenance import reboots
from services.store.workers import WORKER_SILENT_SECONDS

log = structlog.get_logger()

SLOTS = 16  # jobs that one destination may have in hand at once
LOOK_SECONDS = 0.015  # between two looks for work: under load each finds more
BEAT_SECONDS = 5.0
CLOCK_STEP_SECONDS = 1.0  # smaller steps of the clock change nothing that matters
ROUTE_AGAIN_SECONDS = 5.0  # processes see a change of Message Settings within a second


class Worker:
    """One worker: its lock in the storage folder shows other processes that it lives."""

    def __init__(  # noqa: PLR0913 - the parts that it runs
        self,
        *,
        store: Store,
        settings: MessageSettings,
        delivery: Delivery,
        outcomes: Outcomes,
        journal: CompletionJournal,
        router: Router,
        composer: Composer,
        channels: Iterable[Channel],
        mailbox: MailboxPoller | None,
        inbox_leases: Iterable[str],
        tasks: tuple[PeriodicTask, ...],
        folder: Path,
    ) -> None:
        """``folder`` is the run folder that all processes of this machine share.

        ``inbox_leases`` are the names of the leases on the inbox.
        """
        self.id = uuid4().hex
        self._store = store
        self._settings = settings
        self._delivery = delivery
        self._outcomes = outcomes
        self._journal = journal
        self._router = router
        self._folder = folder
        self._listeners: list[Callable[[Callable[[], bool]], None]] = [
            InboundChannel(store, composer, channel, self.id).run
            for channel in channels
            if isinstance(channel, TwoWayChannel)
        ]
        if mailbox is not None:
            self._listeners.append(partial(mailbox.run, self.id))
        self._inbox = TaskLeases(store, inbox_leases, self.id)
        self._schedule = Schedule(tasks)
        self._in_hand: Counter[str] = Counter()
        self._jobs_in_hand: set[int] = set()
        self._strays: set[Lease] = set()  # of the last heartbeat
        self._pool = Pool()
        self._lock = FileLock(folder / f"{self.id}.worker")
        self._next_look = 0.0
        self._next_beat = 0.0
        self._last_beat = 0.0
        self._watches_since = 0.0
        self._next_routing = math.inf
        self._generation = ""
        self._listens = True
        self._clock_ahead = -math.inf  # of the monotonic clock, at the last look
        self._is_alone = store.engine.dialect.name == "sqlite"

    def run(self, alive: Callable[[], bool], beat: Callable[[], None]) -> None:
        """Deliver until ``alive`` says no, then finish the jobs in hand.

        ``beat`` is called at least every two seconds, and every 15 while the database is silent, so
        that a supervisor can detect a hung worker.
        """
        with self:
            while alive():
                beat()
                self.step()
            self.finish(beat)

    def __enter__(self) -> "Worker":
        self._lock.acquire()
        if self._is_alone:
            self._store.write(reboots.note_boot)
            if fault := sqlite_fault():
                log.warning("old SQLite", reason=fault)
        self._store.write(circuit_breakers.resume_all)
        for listener in self._listeners:
            self._pool.spawn(self._listen, listener)
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.forget(self.id)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def step(self) -> None:
        """Start due jobs and tasks once, then wait for a commit or for the next due job."""
        changes = self._store.notifier.subscribe()
        time.sleep(max(0.0, self._next_look - time.monotonic()))
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            self._watch_clock()
            self._beat_if_due()
            self._schedule.start_due(changes, lambda task: self._pool.spawn(self._run_task, task))
            self._route_after_settings_change()
            more = self._delivery.process_inbox(
                self.id, self._inbox.held(), self._room, self._start, self._pool.spawn
            )
            wait = self._delivery.deliver(self.id, self._room, self._start)
        except StorageUnwell as error:
            log.error("cannot look for work", reason=str(error))
            time.sleep(1.0)
            return
        if wait > 0 and not more:
            self._store.notifier.wait(wait, changes)

    def finish(self, beat: Callable[[], None]) -> None:
        """Wait for the jobs in hand; after a kill another worker takes them back."""
        self._listens = False
        try:
            self._inbox.release()
        except StorageUnwell as error:
            log.error("cannot release the inbox", reason=str(error))
        while not self._pool.join(timeout=1.0):
            beat()
        self._delivery.finish()

    def _run_task(self, task: PeriodicTask) -> None:
        more = False
        try:
            if not task.one_worker or self._is_youngest():
                more = bool(task.work())
        except StorageUnwell as error:
            log.error("periodic task failed", task=task.name, reason=str(error))
        finally:
            self._schedule.finished(task, more=more)

    def _is_youngest(self) -> bool:
        return self._store.read(partial(workers.is_youngest, worker_id=self.id))

    def _route_after_settings_change(self) -> None:
        generation = self._settings.generation
        changed = generation != self._generation
        if changed or time.monotonic() >= self._next_routing:
            # A text that was processed with the old settings may not be committed yet.
            again = time.monotonic() + ROUTE_AGAIN_SECONDS
            self._next_routing = again if changed else math.inf
            self._generation = generation
            self._router.route_waiting()

    def _watch_clock(self) -> None:
        """Compare this machine's clock, which is SQLite's too; PostgreSQL's at a heartbeat."""
        if self._is_alone:
            self._note_clock(time.time())

    def _note_clock(self, now: float) -> None:
        """After the clock was set back, shorten waits by as much: they are stored as times."""
        ahead = now - time.monotonic()
        back = self._clock_ahead - ahead
        if back > CLOCK_STEP_SECONDS:
            self._store.write(lambda tx: self._set_back(tx, back))
            log.warning("the clock was set back", seconds=round(back))
        self._clock_ahead = ahead

    def _set_back(self, tx: Connection, seconds: float) -> None:
        jobs.shift_back(tx, seconds)
        rate_limits.shift_back(tx, seconds)
        circuit_breakers.resume_all(tx)

    def _beat_if_due(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._beat()
            self._next_beat = time.monotonic() + BEAT_SECONDS

    def _beat(self) -> None:
        """Record a heartbeat, and take back the jobs of dead workers.

        While the database was away no worker could record one. So a missing heartbeat counts only
        for a worker whose own heartbeats were recorded all the time.
        """
        beat = self._store.write(self._write_beat)
        if not self._is_alone and self._is_youngest():
            self._note_clock(beat)
        if beat - self._last_beat > 2 * BEAT_SECONDS:
            self._watches_since = beat
        self._last_beat = beat
        silent_since = beat - WORKER_SILENT_SECONDS
        watched = self._watches_since <= silent_since
        self._give_back_strays()
        dead = self._dead_workers()
        self._outcomes.reclaim(dead, silent_since if watched else 0.0)
        for worker_id in dead:
            self._journal.forget(worker_id)
            (self._folder / f"{worker_id}.worker").unlink(missing_ok=True)

    def _give_back_strays(self) -> None:
        """Make jobs due again that are leased to this worker and that it knows nothing of.

        That is so if the connection broke while PostgreSQL committed the lease: the worker then
        takes it for failed. A lease may be on its way here; but not over two heartbeats.
        """
        leases = self._store.read(partial(jobs.leases_of, owner=self.id))
        strays = {lease for lease in leases if lease.job_id not in self._jobs_in_hand}
        lost = strays & self._strays
        self._strays = strays - lost
        if lost:
            self._outcomes.give_back(self.id, {lease.job_id for lease in lost})

    def _write_beat(self, tx: Connection) -> float:
        now = clock.now(tx)
        workers.beat(tx, self.id, now)
        return now

    def _dead_workers(self) -> list[str]:
        """Workers of this storage folder whose lock nobody holds any more."""
        dead = []
        for path in self._folder.glob("*.worker"):
            if path.stem == self.id:
                continue
            try:
                with FileLock(path, timeout=0):
                    dead.append(path.stem)
            except Timeout:
                continue
        return dead

    def _room(self, destination: str) -> int:
        return SLOTS - self._in_hand[destination]

    def _start(self, job: Job) -> None:
        self._in_hand[job.destination] += 1
        self._jobs_in_hand.add(job.id)
        self._pool.spawn(self._perform, job)

    def _listen(self, run: Callable[[Callable[[], bool]], None]) -> None:
        while self._listens:
            try:
                run(lambda: self._listens)
            except Exception:
                log.exception("an inbound channel failed unexpectedly")
                time.sleep(1.0)

    def _perform(self, job: Job) -> None:
        try:
            self._delivery.perform(job)
        except Exception as error:
            log.exception("a job failed unexpectedly", message_id=job.message_id)
            kind = Kind.UNKNOWN if job.kind is JobKind.SEND else Kind.RETRY
            reason = f"Textbridge has a fault here ({type(error).__name__}); its log says more."
            self._outcomes.settle(job, DeliveryError(reason, kind))
        finally:
            self._in_hand[job.destination] -= 1
            self._jobs_in_hand.discard(job.id)
            self._store.notifier.notify_local()

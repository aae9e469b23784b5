"""The delivery worker: does jobs until it is told to stop."""

import math
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog
from filelock import FileLock, Timeout
from gevent.pool import Pool
from sqlalchemy import Connection

from services.core.errors import DeliveryError, Kind, StorageUnwell
from services.delivery.inbound_channels import InboundChannel
from services.gateway import Gateway
from services.operations import retention, statistics
from services.push.base import TwoWayChannel
from services.store import circuit_breakers, jobs, rate_limits, workers
from services.store.database import clock
from services.store.database.engine import sqlite_fault
from services.store.jobs import Job, JobKind
from services.store.workers import WORKER_SILENT_SECONDS

log = structlog.get_logger()

SLOTS = 16  # jobs that one destination may have in hand at once
LOOK_SECONDS = 0.005  # between two looks for work: under load each finds more
BEAT_SECONDS = 5.0
INDEX_SECONDS = 1.0
COUNT_SECONDS = 5.0
RECOVERY_SECONDS = 900.0
SWEEP_SECONDS = 3600.0
CLOCK_STEP_SECONDS = 1.0  # smaller ones cost nobody anything
CHECK_SECONDS = 60.0
ROUTE_AGAIN_SECONDS = 5.0  # processes see a change of Message Settings within a second


def run(gateway: Gateway, alive: Callable[[], bool], beat: Callable[[], None]) -> None:
    """Deliver until ``alive`` says no, then finish what is in hand.

    ``beat`` is called at least every second or two, so that a supervisor can tell a hung worker.
    """
    with Worker(gateway) as worker:
        while alive():
            beat()
            worker.turn()
        worker.finish(beat)


class Worker:
    """One worker: its lock in the storage folder shows other processes that it lives."""

    def __init__(self, gateway: Gateway) -> None:
        self.id = uuid4().hex
        self._gateway = gateway
        self._in_hand: Counter[str] = Counter()
        self._pool = Pool()
        self._folder = gateway.environment.service.storage_path.resolve() / "run"
        self._lock = FileLock(self._folder / f"{self.id}.worker")
        self._next_look = 0.0
        self._next_beat = 0.0
        self._last_beat = 0.0
        self._watches_since = 0.0
        self._next_index = 0.0
        self._indexed = -1  # how often the bell had rung at the last look for new messages
        self._next_count = 0.0
        self._counted = -1  # as above, at the last look for what is to be counted
        self._next_sweep = 0.0
        self._next_prune = 0.0
        self._next_recovery = 0.0
        self._next_check = time.monotonic() + CHECK_SECONDS  # once what waited has been begun
        self._next_routing = math.inf
        self._generation = ""
        self._listens = True
        self._clock_ahead = time.time() - time.monotonic()

    def __enter__(self) -> "Worker":
        self._lock.acquire()
        store = self._gateway.store
        if store.engine.dialect.name == "sqlite" and (fault := sqlite_fault()):
            log.warning("old SQLite", reason=fault)
        store.write(circuit_breakers.resume_all)
        for channel in self._gateway.channels.values():
            if isinstance(channel, TwoWayChannel):
                self._pool.spawn(self._listen, InboundChannel(self._gateway, channel, self.id))
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.delivery.journal.forget(self.id)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def turn(self) -> None:
        """Look once for work and for what is due by the clock, then wait for the bell."""
        rung = self._gateway.store.notifier.subscribe()
        time.sleep(max(0.0, self._next_look - time.monotonic()))
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            self._housekeeping(rung)
            wait = self._gateway.deliver(self.id, self._room, self._start)
        except StorageUnwell as error:
            log.error("cannot look for work", reason=str(error))
            time.sleep(1.0)
            return
        if wait > 0:
            self._gateway.store.notifier.wait(wait, rung)

    def finish(self, beat: Callable[[], None]) -> None:
        """Wait for the jobs in hand; whatever is left when we are killed is taken back later."""
        self._listens = False
        while not self._pool.join(timeout=1.0):
            beat()

    def _housekeeping(self, rung: int) -> None:
        now = time.monotonic()
        self._mind_the_clock()
        if now >= self._next_beat:
            self._beat()
            self._next_beat = now + BEAT_SECONDS
        if now >= self._next_index and rung != self._indexed and not self._in_hand["index"]:
            self._next_index = now + INDEX_SECONDS
            self._indexed = rung
            self._in_hand["index"] += 1
            self._pool.spawn(self._aside, "index", self._gateway.index)
        if now >= self._next_count and rung != self._counted and not self._in_hand["count"]:
            self._next_count = now + COUNT_SECONDS
            self._counted = rung
            self._in_hand["count"] += 1
            self._pool.spawn(self._aside, "count", partial(statistics.count, self._gateway.store))
        if now >= self._next_recovery and not self._in_hand["recover"]:
            self._next_recovery = now + RECOVERY_SECONDS
            self._in_hand["recover"] += 1
            self._pool.spawn(self._aside, "recover", self._gateway.recover_all)
        if now >= self._next_sweep and not self._in_hand["sweep"]:
            self._next_sweep = now + SWEEP_SECONDS
            self._in_hand["sweep"] += 1
            self._pool.spawn(self._aside, "sweep", self._gateway.sweep)
        if now >= self._next_check and not self._in_hand["check"]:
            self._next_check = now + CHECK_SECONDS
            self._in_hand["check"] += 1
            self._pool.spawn(self._aside, "check", self._check)
        if now >= self._next_prune and not self._in_hand["prune"]:
            self._next_prune = now + SWEEP_SECONDS
            self._in_hand["prune"] += 1
            self._pool.spawn(self._aside, "prune", self._prune)
        generation = self._gateway.settings.generation
        if generation != self._generation or now >= self._next_routing:
            # A text that was taken in with the settings of before may not be committed yet.
            again = generation != self._generation
            self._next_routing = now + ROUTE_AGAIN_SECONDS if again else math.inf
            self._generation = generation
            self._gateway.routing.route_waiting()

    def _check(self) -> None:
        """Check conservation: one worker does it for all."""
        if self._gateway.store.read(partial(workers.is_youngest, worker_id=self.id)):
            self._gateway.audit.check()

    def _mind_the_clock(self) -> None:
        """Once the clock has been set back, what was to wait a minute is not to wait a day."""
        ahead = time.time() - time.monotonic()
        back = self._clock_ahead - ahead
        if back > CLOCK_STEP_SECONDS:
            self._gateway.store.write(lambda tx: self._set_back(tx, back))
            log.warning("the clock was set back", seconds=round(back))
        self._clock_ahead = ahead

    def _set_back(self, tx: Connection, seconds: float) -> None:
        jobs.set_back(tx, seconds)
        rate_limits.set_back(tx, seconds)
        circuit_breakers.resume_all(tx)

    def _beat(self) -> None:
        """Say that this worker lives, and take back what the dead have left.

        While the database was away nobody could beat, so silence counts only for a worker that has
        itself beaten all the time.
        """
        beat = self._gateway.store.write(self._write_beat)
        if beat - self._last_beat > 2 * BEAT_SECONDS:
            self._watches_since = beat
        self._last_beat = beat
        silent_since = beat - WORKER_SILENT_SECONDS
        watched = self._watches_since <= silent_since
        dead = self._dead_workers()
        self._gateway.delivery.reclaim(dead, silent_since if watched else 0.0)
        for worker_id in dead:
            self._gateway.delivery.journal.forget(worker_id)
            (self._folder / f"{worker_id}.worker").unlink(missing_ok=True)

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
        self._pool.spawn(self._perform, job)

    def _aside(self, name: str, work: Callable[[], object]) -> None:
        """Do what may have to wait for strangers beside the deliveries."""
        try:
            work()
        except StorageUnwell as error:
            log.error(f"cannot {name} yet", reason=str(error))
        finally:
            self._in_hand[name] -= 1

    def _prune(self) -> None:
        """A batch of what is kept no longer; the next follows soon where there may be more."""
        if self._gateway.retention.prune(self._gateway.retention.ages()):
            self._next_prune = time.monotonic() + retention.PAUSE_SECONDS

    def _listen(self, listening: InboundChannel) -> None:
        while self._listens:
            try:
                listening.run(lambda: self._listens)
            except Exception:
                log.exception("listening failed in an unforeseen way")
                time.sleep(1.0)

    def _perform(self, job: Job) -> None:
        try:
            self._gateway.delivery.perform(job)
        except Exception as error:
            log.exception("a job failed in an unforeseen way", message_id=job.message_id)
            kind = Kind.UNKNOWN if job.kind is JobKind.SEND else Kind.RETRY
            reason = f"Textbridge has a fault here ({type(error).__name__}); its log says more."
            self._gateway.delivery.settle(job, DeliveryError(reason, kind))
        finally:
            self._in_hand[job.destination] -= 1
            self._gateway.store.notifier.notify_local()

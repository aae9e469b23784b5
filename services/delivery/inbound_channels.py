"""Two-way push channels: texts that users write become replies; reachable phones get what waits.

Every worker listens, so that no text is missed while one restarts. A text is stored once, as its
``id`` is the same for all of them; only the youngest worker reports a refusal to the user. On a
channel with ``one_listener`` only the worker that has its lease listens, and answers everything.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial

import structlog

from services.core.errors import Kind, PushError, RequestRefused, StorageUnwell
from services.core.messages import Device
from services.delivery.reconnecting import record_pause, sleep_while
from services.delivery.task_leases import TaskLeases
from services.messaging.compose import Composer, Reply
from services.push.base import InboundEvent, InboundText, Reconnected, TwoWayChannel
from services.store import circuit_breakers, jobs, workers
from services.store.database.store import Store

log = structlog.get_logger()

LONGEST_WAIT = 30.0  # between two attempts to connect
SETTLING_SECONDS = 1.0  # a phone that has just registered is given a moment
WATCH_SECONDS = 5.0  # between two looks at which phones have texts that wait
LEASE_LOOK_SECONDS = 0.5  # between two looks whether this worker may listen
NOT_KEPT = "Textbridge cannot keep it now. Please send it again later."

NO_NUMBER = (
    "The PBX does not say to which number this was written. Write it to a phone number such as "
    "+12025550143. If that does not help, ask your administrator."
)


class InboundChannel:
    """One worker's connection to one two-way channel."""

    def __init__(
        self, store: Store, composer: Composer, channel: TwoWayChannel, worker_id: str
    ) -> None:
        self._store = store
        self._composer = composer
        self._channel = channel
        self._worker_id = worker_id
        self._destination = f"push:{channel.name}"
        self._lease = f"listen:{channel.name}"
        self._leases = TaskLeases(store, [self._lease] if channel.one_listener else [], worker_id)
        self._next_watch = 0.0  # of the monotonic clock

    def run(self, alive: Callable[[], bool]) -> None:
        """Listen until ``alive`` says no; connect again whenever the connection is lost.

        Where only one worker may listen, the others wait until it is gone.
        """
        self._listen(alive)
        self._release()

    def _listen(self, alive: Callable[[], bool]) -> None:
        wait = 1.0
        while alive():
            is_refused, asked_wait = False, 0.0
            try:
                if not self._may_listen():
                    sleep_while(alive, LEASE_LOOK_SECONDS)
                    continue
                with self._lease_renewed(), closing(self._channel.inbound_events()) as events:
                    next(events)
                    self._connected()
                    wait = 1.0
                    for event in events:
                        self._act(event)
                        if not alive():
                            return
                        if not self._may_listen():
                            log.warning("another worker listens", channel=self._channel.name)
                            break
            except PushError as error:
                log.warning(
                    "inbound channel not connected", channel=self._channel.name, reason=error.reason
                )
                if error.kind is Kind.CONFIG:
                    wait = self._channel.config_wait or wait
                asked_wait = self._channel.reconnect_after(error)
                if error.kind is Kind.CONFIG or error.retry_after:
                    record_pause(self._store, self._destination, error, max(wait, asked_wait))
                is_refused = error.kind is Kind.CONFIG
            except StorageUnwell as error:
                log.error(
                    "inbound channel waits for the database",
                    channel=self._channel.name,
                    reason=str(error),
                )
            # Who is refused keeps the lease: the other workers would be refused as well.
            with self._lease_renewed() if is_refused else nullcontext():
                sleep_while(alive, max(wait, asked_wait))
            wait = min(2 * wait, LONGEST_WAIT)

    def _may_listen(self) -> bool:
        """Whether this worker may listen now; renews its lease. Raises ``StorageUnwell``."""
        return not self._channel.one_listener or self._lease in self._leases.held()

    def _lease_renewed(self) -> AbstractContextManager[None]:
        """A block during which the lease is renewed, if there is one."""
        return self._leases.renewed() if self._channel.one_listener else nullcontext()

    def _release(self) -> None:
        """Let another worker listen at once."""
        if self._channel.one_listener:
            try:
                self._leases.release()
            except StorageUnwell as error:
                log.error("cannot release a lease", name=self._lease, reason=str(error))

    def _connected(self) -> None:
        """Start the jobs that wait for phones which registered while no worker was connected."""
        self._store.write(lambda tx: circuit_breakers.resume(tx, self._destination))
        self._make_due(None)
        log.info("inbound channel connected", channel=self._channel.name)

    def _act(self, event: InboundEvent | None) -> None:
        if isinstance(event, InboundText):
            self._submit(event)
        if isinstance(event, Reconnected):
            self._connected()
        elif event is not None:  # who writes is online as well
            target = f"{self._channel.name}:{event.extension}"
            if self._store.read(lambda tx: jobs.waits(tx, self._destination, target)):
                self._make_due(target)
        if time.monotonic() >= self._next_watch:
            self._next_watch = time.monotonic() + WATCH_SECONDS
            waiting = self._store.read(partial(jobs.waiting_targets, destination=self._destination))
            self._channel.watch({target.partition(":")[2] for target in waiting})

    def _make_due(self, target: str | None) -> None:
        self._store.write(
            lambda tx: jobs.make_all_due(tx, self._destination, target, SETTLING_SECONDS)
        )

    def _submit(self, wrote: InboundText) -> None:
        device = Device(f"{self._channel.name}:{wrote.extension}", wrote.extension)
        if not self._channel.begin_keeping(wrote):
            log.warning("text not kept in time", extension=wrote.extension)
            return
        reply = Reply(text=wrote.text, to=(wrote.to,), sender=wrote.sender, client_id=wrote.id)
        end = time.monotonic() + self._channel.keep_seconds
        while True:
            try:
                if not wrote.to:
                    raise RequestRefused("invalid_number", NO_NUMBER)
                self._composer.submit(device, reply)
            except RequestRefused as error:
                log.info("refused", extension=wrote.extension, code=error.code)
                self._report(wrote, partial(self._channel.report_refusal, wrote, error.reason))
            except StorageUnwell as error:
                log.error("cannot keep a text yet", reason=str(error))
                if time.monotonic() < end:
                    time.sleep(1.0)
                    continue
                self._report(wrote, partial(self._channel.report_not_kept, wrote, NOT_KEPT))
            else:
                self._channel.report_kept(wrote)
            return

    def _report(self, wrote: InboundText, report: Callable[[], None]) -> None:
        try:
            if self._channel.one_listener or self._answers():
                report()
        except PushError as error:
            log.warning("refusal not reported", extension=wrote.extension, reason=error.reason)

    def _answers(self) -> bool:
        """Whether this worker reports refusals; two reports are better than none."""
        try:
            return self._store.read(lambda tx: workers.is_youngest(tx, self._worker_id))
        except StorageUnwell:
            return True

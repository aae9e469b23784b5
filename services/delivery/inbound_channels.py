"""Two-way push channels: texts that users write become replies; reachable phones get what waits.

Every worker listens, so that no text is missed while one restarts. A text is stored once, as its
``id`` is the same for all of them; only the youngest worker reports a refusal to the user.
"""

import time
from collections.abc import Callable
from contextlib import closing

import structlog

from services.core.errors import Kind, PushError, RequestRefused, StorageUnwell
from services.core.messages import Device
from services.messaging.compose import Composer, Reply
from services.push.base import ExtensionReachable, InboundText, TwoWayChannel
from services.store import circuit_breakers, jobs, workers
from services.store.database import clock
from services.store.database.store import Store

log = structlog.get_logger()

LONGEST_WAIT = 30.0  # between two attempts to connect
SETTLING_SECONDS = 1.0  # a phone that has just registered is given a moment
ATTEMPTS = 30  # to keep a text while the database is unwell, a second apart
NOT_KEPT = "Textbridge cannot keep it now. Please send it again later."


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

    def run(self, alive: Callable[[], bool]) -> None:
        """Listen until ``alive`` says no; connect again whenever the connection is lost."""
        wait = 1.0
        while alive():
            try:
                with closing(self._channel.inbound_events()) as events:
                    next(events)
                    self._connected()
                    wait = 1.0
                    for event in events:
                        self._act(event)
                        if not alive():
                            return
            except PushError as error:
                log.warning(
                    "inbound channel not connected", channel=self._channel.name, reason=error.reason
                )
                if error.kind is Kind.CONFIG or error.retry_after:
                    self._pause(error, wait)
            except StorageUnwell as error:
                log.error(
                    "inbound channel waits for the database",
                    channel=self._channel.name,
                    reason=str(error),
                )
            _sleep(wait, alive)
            wait = min(2 * wait, LONGEST_WAIT)

    def _connected(self) -> None:
        """Start the jobs that wait for phones which registered while no worker was connected."""
        self._store.write(lambda tx: circuit_breakers.resume(tx, self._destination))
        self._make_due(None)
        log.info("inbound channel connected", channel=self._channel.name)

    def _pause(self, error: PushError, seconds: float) -> None:
        """Pause the channel, so that the operator sees why."""
        try:
            self._store.write(
                lambda tx: circuit_breakers.pause(
                    tx,
                    self._destination,
                    clock.now(tx) + seconds,
                    error.reason,
                    config=error.kind is Kind.CONFIG,
                )
            )
        except StorageUnwell as failure:
            log.error("cannot record a pause", reason=str(failure))

    def _act(self, event: InboundText | ExtensionReachable | None) -> None:
        if isinstance(event, InboundText):
            self._submit(event)
        elif event is not None:
            target = f"{self._channel.name}:{event.extension}"
            if self._store.read(lambda tx: jobs.waits(tx, self._destination, target)):
                self._make_due(target)

    def _make_due(self, target: str | None) -> None:
        self._store.write(
            lambda tx: jobs.make_all_due(tx, self._destination, target, SETTLING_SECONDS)
        )

    def _submit(self, wrote: InboundText) -> None:
        device = Device(f"{self._channel.name}:{wrote.extension}", wrote.extension)
        reply = Reply(text=wrote.text, to=(wrote.to,), client_id=wrote.id)
        for _ in range(ATTEMPTS):
            try:
                self._composer.submit(device, reply)
            except RequestRefused as error:
                log.info("refused", extension=wrote.extension, code=error.code)
                self._refuse(wrote, error.reason)
            except StorageUnwell as error:
                log.error("cannot keep a text yet", reason=str(error))
                time.sleep(1.0)
                continue
            return
        self._refuse(wrote, NOT_KEPT)

    def _refuse(self, wrote: InboundText, reason: str) -> None:
        try:
            if self._answers():
                self._channel.report_refusal(wrote, reason)
        except PushError as error:
            log.warning("refusal not reported", extension=wrote.extension, reason=error.reason)

    def _answers(self) -> bool:
        """Whether this worker reports refusals; two reports are better than none."""
        try:
            return self._store.read(lambda tx: workers.is_youngest(tx, self._worker_id))
        except StorageUnwell:
            return True


def _sleep(seconds: float, alive: Callable[[], bool]) -> None:
    """Sleep, and stop soon after ``alive`` says no."""
    end = time.monotonic() + seconds
    while alive() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))

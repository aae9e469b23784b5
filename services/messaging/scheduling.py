"""Scheduled texts: changed and cancelled by people, and released by the worker at their time.

At its time a text is checked again as if it were sent then. It waits on for the hours of the
recipient's place; what may not be sent fails with the reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import Device, Message, Status
from services.messaging.access import ConversationAccess
from services.messaging.assignments import Assignments
from services.messaging.compose import Composer
from services.messaging.device_limits import SCHEDULE_CHANGES, DeviceLimits
from services.messaging.message_checks import MessageChecks
from services.messaging.opt_out import BY_A_PERSON, OPTED_OUT, send_job
from services.messaging.route import Router
from services.store import counters, jobs, messages, scheduled
from services.store.database import clock
from services.store.database.store import Store

log = structlog.get_logger()
CANCELLED = "cancelled"
ANSWERED = "answered"
RELEASED_AT_ONCE = 20  # in one transaction, for which other writers wait
Release = Callable[[Connection, Message, float], object]


@dataclass(eq=False)
class Scheduling:
    """Changes, cancels and releases scheduled messages."""

    store: Store
    access: ConversationAccess
    composer: Composer
    checks: MessageChecks
    limits: DeviceLimits
    router: Router
    assignments: Assignments

    def change(
        self, device: Device, message_id: str, *, text: str | None, send_at: float | None
    ) -> Message:
        """Give a scheduled message another text or time, or both; returns it as it is then.

        Raises ``RequestRefused``, with status 409 where it is not scheduled any more.
        """

        def work(tx: Connection) -> Message:
            known = self._scheduled(tx, device, message_id)
            if text is not None and text != known.text:
                self._reword(tx, device, known, text)
            if send_at is not None:
                self.composer.check_again(tx, known)
                wait = self.composer.times.wait_for(tx, known, send_at)
                scheduled.set_send_at(tx, known, wait.until, wait.reason or None)
            return messages.by_id(tx, message_id) or known

        return self.store.write(work)

    def send_now(self, device: Device, message_id: str) -> Message:
        """Queue a scheduled message before its time; returns it as it is then.

        A person sends it, so it does not wait for the hours of the recipient's place. Raises
        ``RequestRefused``, with status 409 where it is not scheduled any more.
        """

        def work(tx: Connection) -> Message:
            known = self._scheduled(tx, device, message_id)
            checked = replace(self.composer.check_again(tx, known), send_at=clock.now(tx))
            self._queue(tx, checked, BY_A_PERSON)
            return messages.by_id(tx, message_id) or known

        return self.store.write(work)

    def cancel(self, device: Device, message_id: str) -> Message:
        """Cancel a scheduled message; returns it as it is then.

        Raises ``RequestRefused``, with status 409 where it is not scheduled any more.
        """

        def work(tx: Connection) -> Message:
            known = self._scheduled(tx, device, message_id)
            return self._cancel(tx, known, f"Cancelled by extension {device.extension}.")

        return self.store.write(work)

    def cancel_as_operator(self, message_id: str) -> None:
        """Cancel a scheduled message of any extension. Raises ``RequestRefused`` as ``cancel``."""

        def work(tx: Connection) -> None:
            counters.hold_sequence(tx)
            known = _require_scheduled(messages.by_id(tx, message_id))
            self._cancel(tx, known, "Cancelled by the administrator.")

        self.store.write(work)
        log.info("cancelled by the operator", message_id=message_id)

    def release_due(self) -> bool:
        """Queue the texts whose time has come; true if there may be more. Raises ``StorageUnwell``.

        Several workers may do it at the same time: each text is queued once. Where the transaction
        fails because of a fault with one text, each is queued in a transaction of its own.
        """
        if not self.store.read(lambda tx: scheduled.has_due(tx, clock.now(tx))):
            return False
        return self.release_together(
            self._release_some,
            lambda tx: scheduled.due(tx, clock.now(tx), RELEASED_AT_ONCE),
            self.release,
        )

    def release_together(
        self,
        work: Callable[[Connection], bool],
        due: Callable[[Connection], Iterable[Message]],
        release: Release,
    ) -> bool:
        """Release texts in one transaction, by ``work``; returns what it returns.

        Where it fails because of a fault with one of them, ``release`` releases each of the texts
        that are ``due`` in a transaction of its own; one that fails alone is not sent.
        """
        try:
            return self.store.write(work)
        except StorageUnwell:
            raise
        except Exception:
            log.exception("scheduled texts could not be released")
        for message in self.store.read(due):
            self._release_alone(message, release)
        return False

    def _release_some(self, tx: Connection) -> bool:
        counters.hold_sequence(tx)
        now = clock.now(tx)
        found = scheduled.due(tx, now, RELEASED_AT_ONCE)
        for message in found:
            self.release(tx, message, now)
        return len(found) == RELEASED_AT_ONCE

    def _release_alone(self, message: Message, release: Release) -> None:
        """Queue a text in a transaction of its own; one with a fault fails with the reason."""

        def work(tx: Connection) -> None:
            counters.hold_sequence(tx)
            known = messages.by_id(tx, message.id)
            if known is not None and known.status is Status.SCHEDULED:
                release(tx, known, clock.now(tx))

        try:
            self.store.write(work)
        except StorageUnwell:
            raise
        except Exception as error:
            log.exception("a scheduled text could not be released", message_id=message.id)
            name = type(error).__name__
            reason = f"Textbridge has a fault here ({name}); its log says more."
            self.store.write(lambda tx: self.refuse(tx, message, RequestRefused("fault", reason)))

    def release(self, tx: Connection, message: Message, now: float) -> bool:
        """Queue a text whose time has come; false if it waits on, or is not sent at all.

        The caller has locked the sequence.
        """
        try:
            return self._release(tx, message, now)
        except RequestRefused as refused:
            self.refuse(tx, message, refused)
            return False

    def _release(self, tx: Connection, message: Message, now: float) -> bool:
        """Queue a text, or let it wait on. Raises ``RequestRefused`` before it changes anything."""
        times = self.composer.times
        if message.send_at is not None and now - message.send_at > times.latest_seconds:
            raise RequestRefused(
                "too_late",
                f"It was to be sent more than {times.settings.expire_hours:g} hours ago.",
            )
        if message.extension is None and messages.person_wrote_after(tx, message):
            raise RequestRefused(ANSWERED, "A person has answered meanwhile.")
        checked = self.composer.check_again(tx, message)
        wait = times.hours.wait(message.recipients, now)
        if wait is not None:
            scheduled.set_send_at(tx, message, wait.until, wait.reason)
            return False
        return self._queue(tx, checked)

    def _queue(self, tx: Connection, message: Message, about: str = "") -> bool:
        """Queue the parts of a checked message; false if it is not scheduled any more."""
        first, *rest = self.checks.parts(replace(message, status=Status.QUEUED))
        released = scheduled.release(tx, first)
        if released is None:
            return False
        others = [messages.add_outbound(tx, part, "") for part in rest]
        jobs.add(tx, [send_job(one, about) for one in (released, *others)])
        if released.extension is not None:
            self.assignments.answered(tx, released)
        log.info("scheduled text released", message_id=message.id)
        return True

    def refuse(self, tx: Connection, message: Message, refused: RequestRefused) -> None:
        """Note why a text is not sent at its time, and report it as any failed send."""
        log.warning("scheduled text not sent", message_id=message.id, reason=refused.reason)
        if refused.code in (OPTED_OUT, ANSWERED):
            self._cancel(tx, message, refused.reason, refused.code)
            return
        failed = scheduled.fail(tx, message, refused.code, refused.reason)
        if failed is not None:
            jobs.add(tx, self.router.update_jobs(failed, str(failed.status)))

    def _cancel(
        self, tx: Connection, message: Message, reason: str, code: str = CANCELLED
    ) -> Message:
        if not scheduled.cancel(tx, message, code, reason):
            raise _not_scheduled()
        jobs.add(tx, self.router.update_jobs(message, str(Status.CANCELLED)))
        return messages.by_id(tx, message.id) or message

    def _scheduled(self, tx: Connection, device: Device, message_id: str) -> Message:
        """A scheduled message that an extension may see, while nobody else changes it."""
        counters.hold_sequence(tx)
        numbers = [setting.number for setting in self.access.numbers(device.extension)]
        known = _require_scheduled(messages.by_id(tx, message_id, numbers))
        self.limits.count(tx, device, SCHEDULE_CHANGES)
        return known

    def _reword(self, tx: Connection, device: Device, known: Message, text: str) -> None:
        new = self.composer.check_again(tx, replace(known, text=text))
        before = self.checks.parts(replace(known, provider=new.provider))
        more = self.checks.parts(new)[len(before) :]
        if more:
            self.composer.limits.count_sent(tx, device.extension, more)
        scheduled.reword(tx, known, text, new.segments)


def _require_scheduled(message: Message | None) -> Message:
    if message is None:
        raise RequestRefused("not_found", "There is no such message.", status=404)
    if message.status is not Status.SCHEDULED:
        raise _not_scheduled()
    return message


def _not_scheduled() -> RequestRefused:
    return RequestRefused(
        "not_scheduled",
        "This text does not wait for its time any more: it was sent, cancelled, or has failed.",
        status=409,
    )

"""Bulk sends: one text to a set of recipients, each by themselves; made, previewed, cancelled.

Each recipient gets a scheduled message of their own, with all checks of one. ``bulk_release``
releases them at the carrier's pace.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from services.config.sections import BulkSettings
from services.core.errors import RequestRefused
from services.core.messages import Device, Message, Status, clean, uuid7
from services.core.phone_numbers import without_channel
from services.messaging.bulk_recipients import Recipient, check_list, filled
from services.messaging.cancelling import cancel_scheduled
from services.messaging.compose import Composer, Reply, client_id_reused
from services.messaging.device_limits import BULK_SENDS, DeviceLimits
from services.messaging.route import Router
from services.messaging.scheduling import CANCELLED
from services.messaging.send_times import as_scheduled
from services.store import blocked_senders, bulk_sends, counters, messages
from services.store.bulk_sends import BulkSend, LeftOut
from services.store.database import clock
from services.store.database.store import Store

log = structlog.get_logger()
INVALID = frozenset(
    {
        "emergency_number",
        "field_empty",
        "invalid_number",
        "not_dialable",
        "same_number",
        "short_code",
    }
)
ADMINISTRATOR = "the administrator"


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What is asked for: ``sender`` is a number of ours (else the extension's first).

    ``send_at`` is in seconds since 1970 (else now). With ``skip_invalid`` lines that cannot be sent
    to are left out, instead of refusing all.
    """

    name: str
    text: str
    recipients: tuple[Recipient, ...]
    sender: str | None = None
    send_at: float | None = None
    client_id: str | None = None
    skip_invalid: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of the request: the same ``client_id`` with another one is a conflict."""
        listed = [(one.number, sorted(one.fields.items())) for one in self.recipients]
        parts = [self.name, self.text, self.sender, self.send_at, self.skip_invalid, listed]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class InvalidRecipients(RequestRefused):
    """Lines of the list that cannot be sent to; ``lines`` says why for each."""

    def __init__(self, lines: Iterable[LeftOut]) -> None:
        self.lines = {one.line: f"“{one.number}”: {one.reason}" for one in lines}
        first = next(iter(self.lines))
        where = ", ".join(map(str, self.lines))
        super().__init__(
            "invalid_recipients",
            f"Nothing is sent to line {where}. Line {first}, {self.lines[first]} Correct the list, "
            "or ask for invalid lines to be left out.",
            field="recipients",
        )


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """What a request would send: a message for each recipient, and who is left out.

    ``number`` is ours, ``parts`` counts the messages as the carrier takes them.
    """

    number: str
    messages: tuple[Message, ...]
    left_out: tuple[LeftOut, ...]
    parts: int

    @property
    def segments(self) -> int:
        """All segments together."""
        return sum(message.segments for message in self.messages)

    @property
    def in_quiet_hours(self) -> int:
        """How many wait for the end of the recipient's quiet hours."""
        return sum(message.waits_because is not None for message in self.messages)

    @property
    def invalid(self) -> tuple[LeftOut, ...]:
        """The lines that cannot be sent to."""
        return tuple(one for one in self.left_out if one.code in INVALID)


@dataclass(eq=False)
class BulkSending:
    """Makes, previews and cancels bulk sends."""

    store: Store
    composer: Composer
    router: Router
    limits: DeviceLimits
    rules: BulkSettings

    @property
    def is_on(self) -> bool:
        """Whether the administrator has turned bulk sends on."""
        return self.rules.sending

    def require_on(self) -> None:
        """Raise ``RequestRefused`` while bulk sends are off."""
        if not self.is_on:
            raise RequestRefused(
                "bulk_sending_off",
                "Bulk sending is off. The administrator can turn it on: BULK_SENDING=true in .env.",
                status=403,
            )

    def preview(self, extension: str, asked: BulkRequest) -> BulkPlan:
        """What a request would send; nothing is stored. Raises ``RequestRefused``."""
        self.require_on()
        return self.store.read(lambda tx: self._plan(tx, extension, asked))

    def count(self, device: Device) -> None:
        """Count a call of a device before its work begins. Raises ``RequestRefused`` (429)."""
        self.require_on()
        self.limits.spend(device, BULK_SENDS)

    def create(self, extension: str, asked: BulkRequest, made_by: str) -> tuple[BulkSend, bool]:
        """Store a bulk send and schedule its texts, all of them in one transaction.

        Returns it and whether it repeats an earlier request. Raises ``RequestRefused`` and
        ``StorageUnwell``.
        """
        self.require_on()
        known = self.store.read(lambda tx: self._repeated(tx, extension, asked))
        if known is not None:
            return known, True
        # The checks take long for many recipients, so they are made before other writers wait.
        # Each text is checked again at its time.
        plan = self.preview(extension, asked)
        if plan.invalid and not asked.skip_invalid:
            raise InvalidRecipients(plan.invalid)
        if not plan.messages:
            raise RequestRefused(
                "no_recipients",
                f"Everybody is left out. {plan.left_out[0].reason}",
                field="recipients",
            )

        def work(tx: Connection) -> tuple[BulkSend, bool]:
            counters.hold_sequence(tx)
            known = self._repeated(tx, extension, asked)
            if known is not None:
                return known, True
            self.composer.limits.count_bulk(tx, len(plan.messages))
            return _store(tx, extension, asked, plan, made_by), False

        made, repeated = self.store.write(work)
        log.info("bulk send", bulk_send_id=made.id, extension=made.extension, repeated=repeated)
        return made, repeated

    def cancel(self, bulk_send_id: str, extension: str | None, by: str) -> BulkSend:
        """Cancel the texts of a bulk send that still wait; returns it as it is then.

        With ``extension`` as ``of``. Raises ``RequestRefused`` (404).
        """

        def work(tx: Connection) -> BulkSend:
            counters.hold_sequence(tx)
            known = self.of(tx, bulk_send_id, extension)
            unsent = bulk_sends.texts(tx, known.id, status=Status.SCHEDULED)
            if unsent:
                reason = f"Cancelled by {by}, with the bulk send."
                cancel_scheduled(tx, self.router, unsent, CANCELLED, reason)
                bulk_sends.mark_cancelled(tx, known.id)
                log.info("bulk send cancelled", bulk_send_id=known.id, texts=len(unsent))
            return bulk_sends.by_id(tx, known.id) or known

        return self.store.write(work)

    def of(self, tx: Connection, bulk_send_id: str, extension: str | None) -> BulkSend:
        """A bulk send; with ``extension`` only one of that, by a number that it still has.

        Raises ``RequestRefused`` (404).
        """
        known = bulk_send_of(tx, bulk_send_id, extension)
        if extension is not None and not self._may(extension, known):
            raise _not_found()
        return known

    def page(self, tx: Connection, extension: str, *, limit: int, offset: int) -> list[BulkSend]:
        """The bulk sends of an extension by numbers that it still has, the newest first."""
        numbers = [setting.number for setting in self.composer.access.numbers(extension)]
        return bulk_sends.page(tx, limit=limit, offset=offset, extension=extension, numbers=numbers)

    def _may(self, extension: str, known: BulkSend) -> bool:
        return self.composer.access.extension_may(extension, known.number)

    def _repeated(self, tx: Connection, extension: str, asked: BulkRequest) -> BulkSend | None:
        """The bulk send of the same request. Raises ``RequestRefused``."""
        if asked.client_id is None:
            return None
        known = bulk_sends.by_client_id(tx, extension, asked.client_id)
        if known is None:
            return None
        if known.fingerprint != asked.fingerprint:
            raise client_id_reused("bulk send")
        if not self._may(extension, known):
            raise self.composer.taken_before(extension, known.number)
        return known

    def _plan(self, tx: Connection, extension: str, asked: BulkRequest) -> BulkPlan:
        """Check every recipient. Raises ``RequestRefused`` for what concerns all of them."""
        check_list(asked.text, asked.recipients)
        number = asked.sender or self.composer.addressing.own_numbers(extension)[0].number
        send_at = asked.send_at if asked.send_at is not None else clock.now(tx)
        planned: dict[str, Message] = {}
        left_out = []
        for one in asked.recipients:
            to = clean(one.number[:64])
            try:
                to = self.composer.addressing.recipient(one.number, [number])
                if without_channel(to).isdigit():
                    raise _left_out(
                        "short_code",
                        "This is a short code or a part of a number. Write the whole number.",
                    )
                if to in planned:
                    raise _left_out("duplicate", "An earlier line has the same number.")
                planned[to] = self._message(
                    tx, extension, Reply(filled(asked.text, one), (to,), number), send_at
                )
            except RequestRefused as refused:
                if refused.field != "to" and refused.code != "number_not_allowed":
                    raise
                left_out.append(LeftOut(one.line, to, refused.code, refused.reason))
        every = tuple(planned.values())
        return BulkPlan(
            number=every[0].number if every else number,
            messages=every,
            left_out=tuple(left_out),
            parts=sum(len(self.composer.checks.parts(message)) for message in every),
        )

    def _message(self, tx: Connection, extension: str, reply: Reply, send_at: float) -> Message:
        message = self.composer.compose(tx, extension, reply)
        if blocked_senders.blocks(tx, message.number, message.peer):
            raise _left_out("blocked", "This number is blocked as a sender.")
        return as_scheduled(message, self.composer.times.wait_for(tx, message, send_at))


def bulk_send_of(tx: Connection, bulk_send_id: str, extension: str | None = None) -> BulkSend:
    """A bulk send; with ``extension`` only one of that. Raises ``RequestRefused`` (404)."""
    known = bulk_sends.by_id(tx, bulk_send_id, extension)
    if known is None:
        raise _not_found()
    return known


def _not_found() -> RequestRefused:
    return RequestRefused("not_found", "There is no such bulk send.", status=404)


def _left_out(code: str, reason: str) -> RequestRefused:
    return RequestRefused(code, reason, field="to")


def _store(
    tx: Connection, extension: str, asked: BulkRequest, plan: BulkPlan, made_by: str
) -> BulkSend:
    new = BulkSend(
        name=asked.name,
        extension=extension,
        number=plan.number,
        text=asked.text,
        made_by=made_by,
        send_at=asked.send_at if asked.send_at is not None else clock.now(tx),
        recipients=len(plan.messages),
        fingerprint=asked.fingerprint,
        client_id=asked.client_id,
    )
    made = bulk_sends.add(tx, new, plan.left_out)
    in_order = sorted(uuid7() for _ in plan.messages)
    numbered = zip(plan.messages, in_order, strict=True)
    messages.add_scheduled(
        tx, [replace(one, id=new_id, bulk_send_id=made.id) for one, new_id in numbered]
    )
    return made

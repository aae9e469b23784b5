"""Outbound messages: composing a request of an extension, checking it, queueing it.

One that is to be sent later is stored whole, and split when it is released (``scheduling``).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from services.core.authors import MAIL, is_address
from services.core.errors import RequestRefused
from services.core.messages import Attachment, Device, Message, Status
from services.message_settings import NumberSetting
from services.messaging.access import ConversationAccess
from services.messaging.addressing import Addressing
from services.messaging.assignments import Assignments
from services.messaging.message_checks import FilesTooLarge, MessageChecks
from services.messaging.opt_out import send_job
from services.messaging.send_limits import SendLimits
from services.messaging.send_times import SendTimes
from services.messaging.uploads import Uploads
from services.store import attachments, deletions, jobs, messages
from services.store.database.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """A request to send: text and files, to a conversation or from a number to recipients.

    With ``send_at`` (seconds since 1970) it is sent then.
    """

    text: str = ""
    to: tuple[str, ...] = ()
    sender: str | None = None
    conversation_id: str | None = None
    media_ids: tuple[str, ...] = ()
    client_id: str | None = None
    send_at: float | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the request: the same ``client_id`` with another one is a conflict."""
        parts: list[object] = [self.text, sorted(self.to), self.sender, self.conversation_id]
        parts += [self.media_ids, *([] if self.send_at is None else [self.send_at])]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(eq=False)
class Composer:
    """Turns requests of extensions into stored messages with a job that sends each.

    ``uploads`` makes pictures smaller that are too large together.
    """

    store: Store
    access: ConversationAccess
    addressing: Addressing
    checks: MessageChecks
    limits: SendLimits
    uploads: Uploads
    assignments: Assignments
    times: SendTimes

    def submit(self, device: Device, reply: Reply) -> tuple[Message, bool]:
        """Store the message of an extension, and queue it at its number's carrier or schedule it.

        An e-mail address may stand in its place (``device_of_address``), in no other channel.
        Returns the message and whether it repeats an earlier request. A text over the carrier's
        limit becomes several messages; the first is returned. Raises ``RequestRefused`` and
        ``StorageUnwell``.
        """
        if is_address(device.extension) and device.channel != MAIL:
            raise RequestRefused("no_number", "No extension has an @ in its name.", status=403)

        def store(tx: Connection) -> tuple[Message, bool]:
            if reply.client_id is not None:
                known = messages.by_client_id(tx, device.extension, reply.client_id)
                if known is not None:
                    if known[1] != reply.fingerprint:
                        raise client_id_reused("message")
                    if not self.access.author_may(device.extension, known[0].number):
                        raise self.taken_before(device.extension, known[0].number)
                    return known[0], True
                if deletions.has_client_id(tx, device.extension, reply.client_id):
                    raise RequestRefused(
                        "deleted", "This text was sent before, and then deleted.", status=409
                    )
            whole = self.compose(tx, device.extension, reply)
            parts = self.checks.parts(whole)
            self.limits.count_sent(tx, device.extension, parts)
            if reply.send_at is not None:
                stored = self.times.schedule(tx, whole, reply.send_at, reply.fingerprint)
            else:
                stored = self._queue(tx, parts, reply.fingerprint)
            return messages.by_id(tx, stored.id) or stored, False

        try:
            message, repeated = self._with_smaller_pictures(device, reply, store)
        except IntegrityError:  # another process stored the same client_id at the same moment
            message, repeated = self.store.write(store)
        log.info("reply", message_id=message.id, extension=device.extension, repeated=repeated)
        return message, repeated

    def _queue(self, tx: Connection, parts: Sequence[Message], fingerprint: str = "") -> Message:
        """Store the parts of a message and queue each; returns the first."""
        stored = [messages.add_outbound(tx, part, fingerprint) for part in parts]
        jobs.add(tx, [send_job(message) for message in stored])
        if stored[0].extension is not None:
            self.assignments.answered(tx, stored[0])
        return stored[0]

    def queue_automatic(self, tx: Connection, answer: Message) -> Message:
        """Store and queue a checked text that a rule writes to one person.

        With SCHEDULED_ANSWERS_WAIT it is scheduled in the quiet hours of the person's place. No
        extension's quota counts it. Raises ``RequestRefused``, and then has stored nothing.
        """
        return self.times.schedule_answer(tx, answer) or self._queue(tx, self.checks.parts(answer))

    def taken_before(self, author: str, number: str) -> RequestRefused:
        """The refusal of a request that was taken before its author lost the number."""
        return RequestRefused(
            "number_not_yours",
            f"{self.access.author_name(author)} no longer has {number}. This request was taken "
            "before; it is not done again.",
            status=403,
        )

    def check_again(self, tx: Connection, message: Message) -> Message:
        """Check a scheduled message, as it is or with another text, as if it were sent now.

        Returns it with the segments and the carrier by which it is sent now. Raises
        ``RequestRefused``.
        """
        return self.checks.checked(tx, self._setting_now(message), message)

    def _setting_now(self, message: Message) -> NumberSetting:
        """The entry of a message's number. Raises ``RequestRefused`` where its writer lost it."""
        if message.extension is None:
            setting = self.access.setting(message.number)
            why = f"{message.number} is not in use any more, by Message Settings."
        else:
            own = self.access.numbers(message.extension)
            setting = next((one for one in own if one.number == message.number), None)
            why = f"{self.access.author_name(message.extension)} no longer has {message.number}."
        if setting is None:
            raise RequestRefused("number_not_yours", why, status=403)
        return setting

    def _with_smaller_pictures(
        self, device: Device, reply: Reply, store: Callable[[Connection], tuple[Message, bool]]
    ) -> tuple[Message, bool]:
        """Store a message, after its pictures were made smaller if that is what it needs."""
        try:
            return self.store.write(store)
        except FilesTooLarge as error:
            if not self.uploads.fit_together(device.extension, reply.media_ids, error.most):
                raise
        return self.store.write(store)

    def compose(self, tx: Connection, extension: str, reply: Reply) -> Message:
        """The message of a request, not stored and not split yet. Raises ``RequestRefused``."""
        to = self.addressing.resolve(
            tx,
            extension,
            to=reply.to,
            sender=reply.sender,
            conversation_id=reply.conversation_id,
        )
        recipients = to.recipients
        message = Message(
            direction="out",
            number=to.setting.number,
            peer=recipients[0],
            participants=recipients if len(recipients) > 1 else (),
            text=reply.text,
            media=_files(tx, extension, reply.media_ids),
            status=Status.QUEUED,
            extension=extension,
            client_id=reply.client_id,
            rule=to.rule,
        )
        return self.checks.checked(tx, to.setting, message)


def client_id_reused(what: str) -> RequestRefused:
    """The refusal of a request with the ``client_id`` of another one; ``what`` it asks for."""
    return RequestRefused(
        "client_id_reused",
        f"This client_id was used for another {what}. Make a new one for each.",
        field="client_id",
        status=409,
    )


def _files(tx: Connection, extension: str, ids: tuple[str, ...]) -> tuple[Attachment, ...]:
    known = attachments.uploads(tx, extension, ids)
    for file_id in ids:
        if file_id not in known:
            raise RequestRefused(
                "unknown_file",
                "One of the files was not uploaded by this extension, or was sent already.",
                field="media_ids",
            )
    return tuple(known[file_id] for file_id in dict.fromkeys(ids))

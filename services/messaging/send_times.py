"""Times at which texts are sent later: what an app may ask for, and the recipient's hours."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.config.sections import ScheduleSettings
from services.core.durations import DAY, MINUTE
from services.core.errors import RequestRefused
from services.core.messages import Message, Status
from services.core.recipient_hours import RecipientHours, Wait
from services.store import messages, scheduled
from services.store.database import clock

AHEAD_SECONDS = 366 * DAY
PAST_SECONDS = MINUTE  # by which a phone's clock, and the time that a request takes, may differ
MOST_SCHEDULED = 500  # of one extension


@dataclass(frozen=True)
class SendTimes:
    """Schedules messages, and says until when they wait for the hours of a recipient's place."""

    settings: ScheduleSettings

    @property
    def hours(self) -> RecipientHours:
        """The recipient's hours that are set."""
        return RecipientHours(self.settings.us_hours, self.settings.country_hours or ())

    @property
    def latest_seconds(self) -> float:
        """How long after its time a text may still be sent."""
        return self.settings.expire_hours * 3600.0

    def schedule(
        self, tx: Connection, message: Message, send_at: float, fingerprint: str
    ) -> Message:
        """Store a message to be sent later. Raises ``RequestRefused`` for a time that cannot be."""
        if scheduled.count(tx, message.extension or "") >= MOST_SCHEDULED:
            raise RequestRefused(
                "too_many_scheduled",
                f"An extension may have {MOST_SCHEDULED} scheduled texts. Cancel some, or send "
                "this later.",
                field="send_at",
            )
        wait = self.wait_for(tx, message, send_at)
        return messages.add_outbound(tx, as_scheduled(message, wait), fingerprint)

    def wait_for(self, tx: Connection, message: Message, send_at: float) -> Wait:
        """Until when a message waits for which ``send_at`` was asked, and why longer, if it does.

        Raises ``RequestRefused``.
        """
        now = clock.now(tx)
        if send_at < now - PAST_SECONDS:
            raise RequestRefused(
                "send_at_past", "This time is over. Choose a later one.", field="send_at"
            )
        if send_at > now + AHEAD_SECONDS:
            raise RequestRefused(
                "send_at_too_far", "Choose a time within the next year.", field="send_at"
            )
        return self.hours.wait(message.recipients, send_at) or Wait(send_at, "")

    def answer_wait(self, recipients: Sequence[str], at: float) -> Wait | None:
        """Until when an automatic answer that is due ``at`` waits; ``None``: it is sent at once.

        Raises ``RequestRefused`` where there is no such time.
        """
        return self.hours.wait(recipients, at) if self.settings.answers_wait else None

    def schedule_answer(self, tx: Connection, message: Message) -> Message | None:
        """Schedule an automatic answer that would come in quiet hours; ``None``: it may go now."""
        wait = self.answer_wait(message.recipients, clock.now(tx))
        return messages.add_outbound(tx, as_scheduled(message, wait), "") if wait else None

    def queued_wait(self, message: Message, now: float) -> Wait | None:
        """Until when the send of a queued message waits, and why; ``None``: it may begin ``now``.

        A text that a person wrote and sent at once may be sent at any hour. Raises
        ``RequestRefused`` for a group whose members have no hours in common any more.
        """
        is_answer = message.extension is None and message.rule is not None
        waits = self.settings.answers_wait if is_answer else message.send_at is not None
        return self.hours.wait(message.recipients, now) if waits else None


def as_scheduled(message: Message, wait: Wait) -> Message:
    """A message as it is stored to be sent at its time."""
    return replace(
        message,
        status=Status.SCHEDULED,
        send_at=wait.until,
        waits_because=wait.reason or None,
        created_at=time.time(),
    )

"""Times at which texts are sent later: what an app may ask for, and the recipient's hours."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.config.sections import ScheduleSettings
from services.core.durations import DAY, MINUTE
from services.core.errors import RequestRefused
from services.core.messages import Message, Status
from services.core.recipient_hours import Postponed, RecipientHours
from services.store import messages, scheduled
from services.store.database import clock

AHEAD_SECONDS = 366 * DAY
PAST_SECONDS = MINUTE  # by which a phone's clock, and the time that a request takes, may differ
MOST_SCHEDULED = 500  # of one extension


@dataclass(frozen=True)
class SendTimes:
    """Schedules messages, and says until when the hours of a recipient's place hold them."""

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
        planned = self.planned(tx, message, send_at)
        return messages.add_outbound(tx, waiting(message, planned), fingerprint)

    def planned(self, tx: Connection, message: Message, send_at: float) -> Postponed:
        """When a message is sent for which ``send_at`` was asked, and why later, if it is.

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
        return self.hours.postponed(message.recipients, send_at) or Postponed(send_at, "")

    def answer_waits(self, recipients: Sequence[str], at: float) -> Postponed | None:
        """Until when an automatic answer that is due ``at`` waits; ``None``: it is sent at once.

        Raises ``RequestRefused`` where there is no such time.
        """
        return self.hours.postponed(recipients, at) if self.settings.answers_wait else None

    def hold_answer(self, tx: Connection, message: Message) -> Message | None:
        """Schedule an automatic answer that would come in quiet hours; ``None``: it may go now."""
        held = self.answer_waits(message.recipients, clock.now(tx))
        return messages.add_outbound(tx, waiting(message, held), "") if held else None

    def held(self, message: Message, now: float) -> Postponed | None:
        """Until when the send of a queued message waits, and why; ``None``: it may begin ``now``.

        A text that a person wrote and sent at once may be sent at any hour. Raises
        ``RequestRefused`` for a group whose members have no hours in common any more.
        """
        is_answer = message.extension is None and message.rule is not None
        waits = self.settings.answers_wait if is_answer else message.send_at is not None
        return self.hours.postponed(message.recipients, now) if waits else None


def waiting(message: Message, planned: Postponed) -> Message:
    """A message as it is stored to be sent at its time."""
    return replace(
        message,
        status=Status.SCHEDULED,
        send_at=planned.until,
        waits_because=planned.reason or None,
        created_at=time.time(),
    )

"""Release of the texts of bulk sends at their time, spread by the carrier's pace.

They get half of what the rate limits of the carrier and of the number allow, and only a few of
them are in the queue of a carrier at a time. So replies of people and other texts are not delayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.errors import RequestRefused
from services.core.messages import Message
from services.messaging.bulk_sending import BulkSending
from services.messaging.cancelling import cancel_scheduled
from services.messaging.scheduling import RELEASED_AT_ONCE, Scheduling
from services.providers.base import Provider
from services.store import bulk_sends, counters, rate_limits
from services.store.database import clock
from services.store.database.store import Store

MOST_QUEUED = 4  # texts of bulk sends at a carrier, of the 16 that a worker sends there at a time
SHARE = 0.5  # of a rate limit; the rest is for other texts
# Without a limit of ours the carrier has a queue of its own, which usually sends one text a second
# from a number. It would delay replies behind a bulk send.
USUAL_NUMBER_RATE = 1.0


@dataclass(eq=False)
class BulkRelease:
    """Queues the texts of bulk sends whose time has come."""

    store: Store
    scheduling: Scheduling
    bulk_sending: BulkSending
    providers: Mapping[str, Provider]

    def release_due(self) -> bool:
        """Queue what the pace allows now; true if more may follow at once.

        Several workers may do it at the same time: each text is queued once. Raises
        ``StorageUnwell``.
        """
        if not self.store.read(lambda tx: bulk_sends.has_due(tx, clock.now(tx))):
            return False
        return self.scheduling.release_together(
            self._release_some, self._next_of_each_number, self._release
        )

    def _next_of_each_number(self, tx: Connection) -> list[Message]:
        now = clock.now(tx)
        numbers = bulk_sends.due_numbers(tx, now)
        return [one for number in numbers for one in bulk_sends.due(tx, now, number, 1)]

    def _release_some(self, tx: Connection) -> bool:
        counters.hold_sequence(tx)
        now = clock.now(tx)
        left = RELEASED_AT_ONCE
        for number in bulk_sends.due_numbers(tx, now):
            for message in bulk_sends.due(tx, now, number, left):
                if not self._release(tx, message, now):
                    break
                left -= 1
            if not left:
                return True
        return False

    def _release(self, tx: Connection, message: Message, now: float) -> bool:
        """Release a text; false if its number has to wait."""
        if not self.bulk_sending.is_on:
            reason = "The administrator has turned bulk sending off."
            cancel_scheduled(tx, self.scheduling.router, [message], "bulk_sending_off", reason)
            return True
        setting = self.scheduling.access.setting(message.number)
        provider = self.providers.get(setting.carrier) if setting is not None else None
        if provider is None:
            self.scheduling.release(tx, message, now)  # refuses it with the reason
            return True
        message = replace(message, provider=provider.name)  # the carrier that sends it now
        paces = _paces(provider, message.number)
        if any(rate_limits.wait(tx, name, now) for name in paces):
            return False
        if bulk_sends.count_queued(tx, message.provider) >= MOST_QUEUED:
            return False
        composer = self.scheduling.composer
        try:
            composer.limits.check_peer(tx, message.peer)
        except RequestRefused as refused:
            self.scheduling.refuse(tx, message, refused)
            return True
        if self.scheduling.release(tx, message, now):
            parts = len(composer.checks.parts(message))  # which the carrier counts
            composer.limits.count_peer(tx, message.peer, parts)
            for name, rate in paces.items():
                rate_limits.count(tx, name, rate / parts, now)
        return True


def _paces(provider: Provider, number: str) -> dict[str, float]:
    """The rate limits of bulk sends from a number: their names and texts a second."""
    of_number = (provider.number_rate or USUAL_NUMBER_RATE) * SHARE
    paces = {f"bulk:{provider.name}:{number}": of_number}
    if provider.rate is not None:
        paces[f"bulk:{provider.name}"] = provider.rate * SHARE
    return paces

"""Sending of outbound messages at their carriers, within the carriers' rate limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.errors import AccessLost, Kind, RequestRefused, SendError
from services.core.messages import Message, Status
from services.delivery.job_message import message_of
from services.delivery.outcome import Outcomes, inquiry
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.messaging.access import ConversationAccess
from services.messaging.carrier_event_log import CarrierEventLog
from services.messaging.opt_out import BY_A_PERSON, OptOuts
from services.messaging.send_times import SendTimes
from services.providers.base import Provider
from services.store import circuit_breakers, jobs, rate_limits, statuses
from services.store.carrier_events import CarrierEventKind
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job

NUMBER_LOST = "number_not_yours"  # the code of a message whose author has lost its number


@dataclass(eq=False)
class Sender:
    """Performs the jobs that send a message."""

    store: Store
    settings: MessageSettings
    access: ConversationAccess
    providers: Mapping[str, Provider]
    media: MediaStore
    outcomes: Outcomes
    carrier_events: CarrierEventLog
    opt_outs: OptOuts
    times: SendTimes

    def send(self, job: Job) -> None:
        """Send a message. Raises ``DeliveryError`` and ``StorageUnwell``.

        That the send begins is committed before the carrier is called, so that an interrupted send
        is never repeated. That nobody of the recipients has opted out is asked in the same
        transaction, and so are the hours of their places for a scheduled or automatic text. Raises
        ``AccessLost`` where its author has lost the number since it was queued.
        """
        message = message_of(self.store, job)
        lost = self.access.why_not_sent(message)
        if lost:
            raise AccessLost(f"{lost} The message was not sent.", code=NUMBER_LOST)
        provider = provider_of(self.providers, message)
        setting = self.settings.for_number(message.number)
        sender_id = setting.sender_id if setting is not None else None
        message = replace(self.media.with_paths(message), sender_id=sender_id)
        limits = _rate_limits(provider, message.number)

        def begin(tx: Connection) -> bool | SendError:
            refusal = self.opt_outs.why_not(tx, message)
            if refusal is not None:
                return refusal
            now = clock.now(tx)
            try:
                wait = self.times.queued_wait(message, now) if job.about != BY_A_PERSON else None
            except RequestRefused as refused:
                return SendError(refused.reason, Kind.REFUSED, code=refused.code)
            if wait is not None:
                jobs.put_off(tx, job, wait.until, wait.reason)
                return False
            pause = max([rate_limits.wait(tx, name, now) for name in limits], default=0.0)
            if pause:
                jobs.retry(tx, job, now + pause, jobs.WAITS_FOR_TURN, counts=False)
                return False
            for name, rate in limits.items():
                rate_limits.count(tx, name, rate, now)
            statuses.advance(tx, message.id, Status.SENDING)
            return jobs.start(tx, job)

        begun = self.store.write(begin)
        if isinstance(begun, SendError):
            raise begun
        if not begun:
            return
        provider_id = provider.send(message)
        self.outcomes.record(lambda tx: self._sent(tx, job, message, provider_id))
        self.carrier_events.note(provider.name, CarrierEventKind.SENT)

    def _sent(self, tx: Connection, job: Job, message: Message, provider_id: str) -> None:
        jobs.done(tx, job)
        circuit_breakers.resume(tx, job.destination)
        moved = statuses.advance(tx, message.id, Status.SENT, provider_id=provider_id)
        moved = statuses.join_receipts(tx, message, provider_id) or moved
        if moved:
            self.outcomes.report_status(tx, message.id)
        if not self.providers[message.provider].receipts:
            jobs.add(tx, [inquiry(message.id, message.provider)])


def provider_of(providers: Mapping[str, Provider], message: Message) -> Provider:
    """The carrier of a message. Raises ``SendError`` where it is not configured."""
    provider = providers.get(message.provider)
    if provider is None:
        raise SendError(f"The carrier {message.provider} is not configured.", Kind.CONFIG)
    return provider


def _rate_limits(provider: Provider, number: str) -> dict[str, float]:
    """The rate limits of a message from a number: their names and messages per second."""
    known = {provider.name: provider.rate, f"{provider.name}:{number}": provider.number_rate}
    return {name: rate for name, rate in known.items() if rate is not None}

"""Processing of parsed webhook calls: store messages and delivery receipts, queue their jobs."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.errors import NumberError, RequestRefused, SendError
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Unreadable,
    WebhookCall,
)
from services.core.phone_numbers import own_number, sender
from services.media.media_store import MEDIA_BYTES, MediaStore
from services.message_settings import MessageSettings
from services.messaging.route import Router
from services.messaging.send_limits import SendLimits
from services.providers.base import Provider
from services.store import counters, jobs, messages, quarantine, statuses
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.store import Store

LISTED = "RECOVER"  # the method of quarantined entries of a carrier's list, which no call brought
FORGET_SECONDS = 30 * 86_400  # after a carrier last listed an unreadable entry


@dataclass(eq=False)
class Processor:
    """Stores the parts of webhook calls, each once, with the jobs that follow from them.

    ``country`` is assumed for numbers without a country code.
    """

    store: Store
    settings: MessageSettings
    providers: Mapping[str, Provider]
    router: Router
    media: MediaStore
    limits: SendLimits
    country: str

    def process(
        self,
        provider: Provider,
        call: WebhookCall,
        parsed: Iterable[Parsed],
        quarantine_id: int | None = None,
    ) -> list[tuple[str, str]]:
        """Store the parts of a call in one transaction, their files before it.

        With a ``quarantine_id`` the call leaves the quarantine in the same transaction. Returns
        (outcome, message id) for each part; the outcome is ``received``, ``repeated``, ``status``
        or ``quarantined``. Raises ``StorageUnwell``.
        """
        parts = [self._with_files(part) for part in parsed]

        def store(tx: Connection) -> list[tuple[str, str]]:
            if quarantine_id is not None:
                quarantine.replayed(tx, quarantine_id)
            return self.store_parts(tx, provider, call, parts)

        outcomes = self.store.write(store)
        for part, (outcome, _) in zip(parts, outcomes, strict=True):
            if isinstance(part, Message) and outcome != "received":
                for file in part.media:
                    self.media.remove(file.id)
        return outcomes

    def store_parts(
        self, tx: Connection, provider: Provider, call: WebhookCall, parsed: Iterable[Parsed]
    ) -> list[tuple[str, str]]:
        """Store the parts of a call; returns (outcome, message id) for each, see ``process``."""
        outcomes = []
        for part in parsed:
            audit_counters.add(tx, AuditCounter.ENTERED)
            try:
                if isinstance(part, Message):
                    outcomes.append(self._store_message(tx, provider, part))
                elif isinstance(part, DeliveryStatus):
                    outcomes.append(self._store_status(tx, provider, part))
                else:
                    outcomes.append(_quarantined(tx, provider, call, part))
            except NumberError as error:
                unreadable = Unreadable(str(error), call.body)
                outcomes.append(_quarantined(tx, provider, call, unreadable))
        return outcomes

    def store_listed(
        self, tx: Connection, provider: Provider, listed: Iterable[Parsed]
    ) -> list[tuple[str, str]]:
        """Store messages from a carrier's list; returns (outcome, message id) as ``process``.

        An entry that cannot be read goes into quarantine once, however often the carrier lists it
        and whatever happens to it there; later its outcome is ``repeated``.
        """
        outcomes = []
        for part in listed:
            outcomes += self._store_entry(tx, provider, part)
        counters.forget_before(tx, _unreadable_prefix(provider), int(time.time()) - FORGET_SECONDS)
        return outcomes

    def _store_entry(
        self, tx: Connection, provider: Provider, part: Parsed
    ) -> list[tuple[str, str]]:
        if isinstance(part, Unreadable):
            call = WebhookCall(LISTED, {}, "", part.body)
        elif isinstance(part, Message) and not self._has_number(part):
            call = provider.inbound_call(part)  # the same message as the carrier's webhook has it
        else:
            return self.store_parts(tx, provider, WebhookCall(LISTED, {}, "", b""), [part])
        name = _unreadable_prefix(provider) + _fingerprint(part)
        known = counters.value(tx, name) is not None
        counters.put(tx, name, int(time.time()))
        if not known:
            return self.store_parts(tx, provider, call, [part])
        audit_counters.add(tx, AuditCounter.ENTERED)
        audit_counters.add(tx, AuditCounter.REPEATED)
        return [("repeated", "")]

    def _has_number(self, message: Message) -> bool:
        """Whether our number in an inbound message can be read."""
        try:
            own_number(message.number, self.country)
        except NumberError:
            return False
        return True

    def replay(self, quarantine_id: int) -> list[tuple[str, str]]:
        """Process a call in quarantine again; returns as ``process``.

        Raises ``RequestRefused`` where it cannot be read, and ``StorageUnwell``.
        """
        row = self.store.read(lambda tx: quarantine.by_id(tx, quarantine_id))
        if row is None or row.replayed_at is not None:
            raise RequestRefused("not_found", "There is no such call in quarantine.", status=404)
        provider = self.providers.get(row.provider)
        if provider is None:
            raise RequestRefused("carrier_off", f"{row.provider} is not configured.", status=409)
        try:
            is_listed = row.method == LISTED
            parsed = list(
                provider.parse_listed(row.body) if is_listed else provider.parse(row.call())
            )
        except SendError as error:
            raise RequestRefused("carrier_unreachable", error.reason, status=503) from None
        unreadable = [part for part in parsed if isinstance(part, Unreadable)]
        if unreadable:
            raise RequestRefused("unreadable", unreadable[0].reason, status=409)
        dated = (_with_time(part, row.received_at) for part in parsed)
        return self.process(provider, row.call(), dated, row.id)

    def _with_files(self, part: Parsed) -> Parsed:
        """A message with the files that its call contained written to disk."""
        if not isinstance(part, Message) or not part.media:
            return part
        too_much = self._too_much(part) if any(file.content for file in part.media) else ""
        return replace(part, media=tuple(self._with_bytes(file, too_much) for file in part.media))

    def _too_much(self, message: Message) -> str:
        """The reason why no more files of a message's sender are kept, or nothing."""
        address = sender(message.peer, self.country)
        return self.store.read(lambda tx: self.limits.received_too_much(tx, address))

    def _with_bytes(self, file: Attachment, too_much: str) -> Attachment:
        if file.content is None:
            return file
        if too_much:
            return replace(file, content=None, state="failed", reason=too_much)
        return self.media.save_received(file, MEDIA_BYTES)

    def _store_message(self, tx: Connection, provider: Provider, raw: Message) -> tuple[str, str]:
        number = own_number(raw.number, self.country)
        setting = self.settings.for_number(number)
        members = dict.fromkeys(sender(member, self.country) for member in raw.participants)
        members.pop(number, None)
        message = messages.add_inbound(
            tx,
            replace(
                raw,
                provider=provider.name,
                number=number,
                peer=sender(raw.peer, self.country),
                participants=tuple(members) if len(members) > 1 else (),
                routed=setting is not None and setting.reaches_somebody,
            ),
        )
        if message is None:
            return "repeated", ""
        kept = sum(file.size for file in message.media if file.state == "kept")
        if kept:
            self.limits.count_received(tx, message.peer, kept)
        jobs.add(tx, self.router.inbound_jobs(tx, message, setting))
        return "received", message.id

    def _store_status(
        self, tx: Connection, provider: Provider, raw: DeliveryStatus
    ) -> tuple[str, str]:
        status = replace(raw, peer=sender(raw.peer, self.country)) if raw.peer else raw
        message = statuses.record_status(tx, provider.name, status)
        audit_counters.add(tx, AuditCounter.STATUSES)
        if message is not None:
            jobs.add(tx, self.router.update_jobs(message, str(message.status)))
        return "status", message.id if message is not None else ""


def _with_time(part: Parsed, at: float) -> Parsed:
    """A message; one without a time of its own gets the time at which its call was received."""
    if isinstance(part, Message) and part.carrier_time is None:
        return replace(part, carrier_time=at)
    return part


def _quarantined(
    tx: Connection, provider: Provider, call: WebhookCall, part: Unreadable
) -> tuple[str, str]:
    quarantine.add(tx, provider.name, call, part.reason, part.body)
    return "quarantined", ""


def _unreadable_prefix(provider: Provider) -> str:
    return f"unreadable:{provider.name}:"


def _fingerprint(part: Message | Unreadable) -> str:
    """A digest by which an entry of a carrier's list is known again; it reveals no content."""
    if isinstance(part, Unreadable):
        same = part.body
    else:
        same = json.dumps([part.provider_id, part.number, part.peer, part.text]).encode()
    return hashlib.sha256(same).hexdigest()[:32]

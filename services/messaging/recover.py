"""Recovery of inbound messages that a carrier lists and no webhook delivered."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from functools import partial

import structlog
from sqlalchemy import Connection

from services.core.errors import NumberError, SendError
from services.core.messages import Message, Parsed, Unreadable, WebhookCall
from services.core.progress import Progress, silent
from services.messaging.store_parts import CallParts, Outcome, PartStore
from services.providers.base import Provider
from services.store import counters
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.database.store import Store

log = structlog.get_logger()
LISTED = "RECOVER"  # the method of quarantined entries of a carrier's list, which no call brought
FORGET_SECONDS = 30 * 86_400  # after a carrier last listed an unreadable entry
BATCH = 200  # entries in one transaction, for which other writers wait
OVERLAP_SECONDS = 7200.0  # a carrier may list a message late


class Recovery:
    """Asks carriers for inbound messages and stores those that are missing here."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], parts: PartStore) -> None:
        self._store = store
        self._providers = providers
        self._parts = parts

    def recover(
        self, provider: Provider, since: float, progress: Progress = silent
    ) -> list[Outcome]:
        """Store the inbound messages that a carrier has from a time (seconds since 1970) on.

        A message that is stored already changes nothing; an entry that cannot be read goes into
        quarantine once. Returns (outcome, message id) for each. Nothing is stored before the whole
        list was read; an interruption afterwards leaves what was stored until then.
        Raises ``SendError`` when the carrier cannot be asked, and ``StorageUnwell``.
        """
        missed = list[Parsed]()
        for count, part in enumerate(provider.missed(since), start=1):
            missed.append(part)
            progress(f"messages that {provider.title} lists", count, None)
        outcomes = list[Outcome]()
        for start in range(0, len(missed), BATCH):
            batch = missed[start : start + BATCH]
            stored = self._store.write(partial(self._store_listed, provider=provider, listed=batch))
            for outcome, message_id in stored:
                if outcome == "received":
                    log.info("recovered", provider=provider.name, message_id=message_id)
            outcomes += stored
            progress(f"messages of {provider.title} stored", start + len(batch), len(missed))
        self._store.write(partial(_forget, provider=provider))  # the whole list was seen
        return outcomes

    def recover_all(self) -> None:
        """Store what is missing from every carrier that lists inbound messages.

        Starts at the time of the last call; the very first call only records the time.
        """
        for provider in self._providers.values():
            if not provider.keeps_inbound:
                continue
            name, now = f"recovered:{provider.name}", int(time.time())
            last = self._store.read(partial(counters.value, name=name))
            try:
                if last is not None:  # messages from before the first start are not ours to push
                    self.recover(provider, last - OVERLAP_SECONDS)
            except SendError as error:
                log.warning("cannot recover", provider=provider.name, reason=error.reason)
                continue
            self._store.write(partial(counters.put, name=name, value=now))

    def _store_listed(
        self, tx: Connection, provider: Provider, listed: Iterable[Parsed]
    ) -> list[Outcome]:
        """Store messages from a carrier's list; returns (outcome, message id) of each.

        An entry that cannot be read goes into quarantine once, however often the carrier lists it
        and whatever happens to it there; later its outcome is ``repeated``.
        """
        outcomes = []
        for part in listed:
            outcomes += self._store_entry(tx, provider, part)
        return outcomes

    def _store_entry(self, tx: Connection, provider: Provider, part: Parsed) -> list[Outcome]:
        if isinstance(part, Unreadable):
            call = WebhookCall(LISTED, {}, "", part.body)
        elif isinstance(part, Message) and not self._has_number(part):
            call = provider.inbound_call(part)  # the same message as the carrier's webhook has it
        else:
            call = WebhookCall(LISTED, {}, "", b"")
            return self._parts.store_old(tx, CallParts(provider.name, call, [part]))
        name = _unreadable_prefix(provider) + _fingerprint(part)
        known = counters.value(tx, name) is not None
        counters.put(tx, name, int(time.time()))
        if not known:
            return self._parts.store_old(tx, CallParts(provider.name, call, [part]))
        audit_counters.add(tx, AuditCounter.ENTERED)
        audit_counters.add(tx, AuditCounter.REPEATED)
        return [("repeated", "")]

    def _has_number(self, message: Message) -> bool:
        """Whether our number in an inbound message can be read."""
        try:
            self._parts.own_number(message.number)
        except NumberError:
            return False
        return True


def _forget(tx: Connection, provider: Provider) -> None:
    """Forget the unreadable entries that a carrier has not listed for long."""
    counters.forget_before(tx, _unreadable_prefix(provider), int(time.time()) - FORGET_SECONDS)


def _unreadable_prefix(provider: Provider) -> str:
    return f"unreadable:{provider.name}:"


def _fingerprint(part: Message | Unreadable) -> str:
    """A digest by which an entry of a carrier's list is known again; it reveals no content."""
    if isinstance(part, Unreadable):
        same = part.body
    else:
        same = json.dumps([part.provider_id, part.number, part.peer, part.text]).encode()
    return hashlib.sha256(same).hexdigest()[:32]

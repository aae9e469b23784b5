"""Recovery of inbound messages that a carrier lists and no webhook delivered."""

import time
from collections.abc import Mapping
from functools import partial

import structlog

from services.core.errors import SendError
from services.messaging.process import Processor
from services.providers.base import Provider
from services.store import counters
from services.store.database.store import Store

log = structlog.get_logger()
OVERLAP_SECONDS = 7200.0  # a carrier may list a message late


class Recovery:
    """Asks carriers for inbound messages and stores those that are missing here."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], processor: Processor
    ) -> None:
        self._store = store
        self._providers = providers
        self._processor = processor

    def recover(self, provider: Provider, since: float) -> list[tuple[str, str]]:
        """Store the inbound messages that a carrier has from a time (seconds since 1970) on.

        A message that is stored already changes nothing; an entry that cannot be read goes into
        quarantine once. Returns (outcome, message id) for each.
        Raises ``SendError`` when the carrier cannot be asked, and ``StorageUnwell``.
        """
        missed = list(provider.missed(since))
        outcomes = self._store.write(lambda tx: self._processor.store_listed(tx, provider, missed))
        for outcome, message_id in outcomes:
            if outcome == "received":
                log.info("recovered", provider=provider.name, message_id=message_id)
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

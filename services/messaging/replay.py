"""Replay of quarantined calls: process them again after their cause was mended."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.errors import RequestRefused, SendError
from services.core.messages import Message, Parsed, Unreadable
from services.messaging.call_files import CallFiles
from services.messaging.recover import LISTED
from services.messaging.store_parts import CallParts, Outcome, PartStore
from services.providers.base import Provider
from services.store import quarantine
from services.store.database.store import Store


@dataclass(eq=False)
class Replay:
    """Processes calls in quarantine again."""

    store: Store
    providers: Mapping[str, Provider]
    parts: PartStore
    files: CallFiles

    def replay(self, quarantine_id: int) -> list[Outcome]:
        """Process one call again; returns (outcome, message id) of each part.

        Raises ``RequestRefused`` where it cannot be read, and ``StorageUnwell``.
        """
        row = self.store.read(lambda tx: quarantine.by_id(tx, quarantine_id))
        if row is None or row.replayed_at is not None:
            raise RequestRefused(
                "not_found", "There is no such unreadable carrier message.", status=404
            )
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
        parts = [self.files.save(_with_time(part, row.received_at)) for part in parsed]

        def store(tx: Connection) -> list[Outcome]:
            quarantine.replayed(tx, row.id)
            return self.parts.store_old(tx, CallParts(row.provider, row.call(), parts))

        outcomes = self.store.write(store)
        self.files.remove_unused(parts, outcomes)
        return outcomes


def _with_time(part: Parsed, at: float) -> Parsed:
    """A message; one without a time of its own gets the time at which its call was received."""
    if isinstance(part, Message) and part.carrier_time is None:
        return replace(part, carrier_time=at)
    return part

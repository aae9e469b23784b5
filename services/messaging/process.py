"""Processing of the inbox: webhook calls become messages, receipts and jobs, many in a transaction.

A call leaves the inbox in the transaction that stores its parts. So it is processed once, however
often a worker is interrupted.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
from sqlalchemy import Connection

from services.config.metrics import WEBHOOKS
from services.core.errors import StorageUnwell
from services.core.messages import Message, Parsed, Unreadable
from services.messaging.call_files import CallFiles, has_content
from services.messaging.store_parts import AddJobs, Batch, Outcome, PartStore, seqs_needed
from services.providers.base import Provider
from services.store import inbox, jobs, messages
from services.store.database.store import Store
from services.store.inbox import InboxCall

log = structlog.get_logger()

MOST_CALLS = 200  # in one transaction: about 20 ms, for which other writers wait
MOST_BYTES = 4_000_000  # of their bodies
MOST_WITH_FILES = 4  # calls whose files are being stored at the same time
FILES_RETRY_SECONDS = 5.0  # after the files of a call could not be stored
OTHERS = "other carriers"  # the lease on calls of carriers that are not configured any more

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A call of the inbox and what it contains."""

    row: InboxCall
    parts: tuple[Parsed, ...]


_Stored = tuple[_Parsed, list[Outcome]]


@dataclass(frozen=True, slots=True)
class Processed:
    """The result of a batch: whether its transaction was committed, and whether more may wait."""

    committed: bool
    more: bool


@dataclass(eq=False)
class Processor:
    """Processes the inbox. Only the worker that has the lease on a carrier may process its calls.

    ``spawn`` runs the work of one call whose files may take time; the other calls do not wait.
    """

    store: Store
    providers: Mapping[str, Provider]
    parts: PartStore
    files: CallFiles
    # The ids of calls whose files wait to be stored, the oldest first, and are being stored.
    _with_files: dict[int, None] = field(default_factory=dict, init=False)
    _in_hand: set[int] = field(default_factory=set, init=False)

    @property
    def lease_names(self) -> list[str]:
        """The names of the leases on the inbox: one for each carrier, and ``OTHERS``."""
        return [*self.providers, OTHERS]

    def process_batch(
        self,
        leased: Collection[str],
        *,
        add_jobs: Callable[[Connection], AddJobs] = lambda _: jobs.add,
        also: Callable[[Connection], object] = lambda _: None,
        spawn: Callable[[Work], object] = lambda work: work(),
    ) -> Processed:
        """Process the oldest calls in one transaction.

        ``leased`` are the names of the leases that the caller has. In each attempt at the
        transaction ``add_jobs`` returns the function that adds its jobs; ``also`` is done in the
        same transaction. Without calls nothing is committed. A call with a fault is processed by
        itself with the others of its batch: then the transaction is not committed. Raises
        ``StorageUnwell``.
        """
        calls = self._next(leased)
        ready = []
        for parsed in map(self._parse, calls):
            if any(map(has_content, parsed.parts)):
                self._with_files[parsed.row.id] = None
            else:
                ready.append(parsed)
        if ready:
            self.parts.prepare()
        committed = bool(ready) and self._store(ready, add_jobs, also)
        self._start_files(spawn)
        return Processed(committed, more=bool(calls))

    def process_all(self) -> None:
        """Process everything in the inbox, as a worker with all leases does."""
        while self.store.read(inbox.count):
            self.process_batch(self.lease_names)

    def _next(self, leased: Collection[str]) -> list[InboxCall]:
        which = inbox.of(set(leased) - {OTHERS})
        if OTHERS in leased:
            which = which | inbox.not_of(self.providers)
        if self._with_files or self._in_hand:
            which = which & inbox.not_these([*self._with_files, *self._in_hand])
        return self.store.read(
            lambda tx: inbox.oldest(tx, which, calls=MOST_CALLS, size=MOST_BYTES)
        )

    def _parse(self, row: InboxCall) -> _Parsed:
        provider = self.providers.get(row.provider)
        if provider is None:
            reason = f"The carrier {row.provider} is not configured any more."
            return _Parsed(row, (Unreadable(reason, row.call.body),))
        try:
            parts = tuple(provider.parse(row.call))
        except Exception as error:
            log.exception("a call could not be parsed", provider=row.provider)
            return _Parsed(row, (_fault(row, error),))
        return _Parsed(row, tuple(_with_times(part, row.received_at) for part in parts))

    def _store(
        self,
        batch: Sequence[_Parsed],
        add_jobs: Callable[[Connection], AddJobs] = lambda _: jobs.add,
        also: Callable[[Connection], object] = lambda _: None,
    ) -> bool:
        """Store parsed calls in one transaction; where that fails, each in its own.

        Returns whether the one transaction was committed.
        """

        def work(tx: Connection) -> list[_Stored]:
            also(tx)
            return self._store_in(tx, batch, add_jobs(tx))

        try:
            stored = self.store.write(work)
        except StorageUnwell:
            raise
        except Exception:
            log.exception("calls could not be processed", count=len(batch))
            for parsed in batch:
                self._store_alone(parsed)
            return False
        self._report(stored)
        return True

    def _store_alone(self, parsed: _Parsed) -> None:
        """Store a call by itself; one that fails becomes unreadable with the reason."""
        try:
            stored = self.store.write(lambda tx: self._store_in(tx, [parsed], jobs.add))
        except StorageUnwell:
            raise
        except Exception as error:
            log.exception("a call could not be processed", call=parsed.row.id)
            unreadable = replace(parsed, parts=(_fault(parsed.row, error),))
            stored = self.store.write(lambda tx: self._store_in(tx, [unreadable], jobs.add))
        self._report(stored)

    def _store_in(
        self, tx: Connection, batch: Sequence[_Parsed], add_jobs: AddJobs
    ) -> list[_Stored]:
        """Store those calls that are still in the inbox, and remove them from there."""
        there = inbox.remove(tx, [parsed.row.id for parsed in batch])
        left = [parsed for parsed in batch if parsed.row.id in there]
        texts = sum(seqs_needed(part) for parsed in left for part in parsed.parts)
        seqs = iter(messages.next_seqs(tx, texts)) if texts else iter(())
        shared = Batch(add_jobs, seqs)
        stored = [(parsed, self._store_parts(tx, parsed, shared)) for parsed in left]
        self.parts.answer(tx, shared)
        return stored

    def _store_parts(self, tx: Connection, parsed: _Parsed, shared: Batch) -> list[Outcome]:
        row = parsed.row
        return self.parts.store(tx, row.provider, row.call, parsed.parts, shared)

    def _start_files(self, spawn: Callable[[Work], object]) -> None:
        for call_id in list(self._with_files)[: MOST_WITH_FILES - len(self._in_hand)]:
            del self._with_files[call_id]
            self._in_hand.add(call_id)
            spawn(partial(self._process_with_files, call_id))

    def _process_with_files(self, call_id: int) -> None:
        """Store the files of a call, then the call. It stays in the inbox where this fails."""
        try:
            for row in self.store.read(lambda tx: inbox.by_ids(tx, [call_id])):
                parsed = self._parse(row)
                parts = tuple(self.files.save(part) for part in parsed.parts)
                self._store([replace(parsed, parts=parts)])
        except StorageUnwell as error:
            log.error("files cannot be stored yet", call=call_id, reason=str(error))
            time.sleep(FILES_RETRY_SECONDS)
            self._with_files[call_id] = None
        finally:
            self._in_hand.discard(call_id)

    def _report(self, stored: Sequence[_Stored]) -> None:
        counted: Counter[tuple[str, str]] = Counter()
        for parsed, outcomes in stored:
            provider = parsed.row.provider
            with suppress(StorageUnwell):
                self.files.remove_unused(parsed.parts, outcomes)
            counted.update((provider, outcome) for outcome, _ in outcomes)
            for outcome, message_id in outcomes:
                log.info(
                    "webhook", provider=provider, outcome=outcome, message_id=message_id or None
                )
        for labels, count in counted.items():
            WEBHOOKS.labels(*labels).inc(count)


def _fault(row: InboxCall, error: Exception) -> Unreadable:
    reason = f"Textbridge has a fault here ({type(error).__name__}); its log says more."
    return Unreadable(reason, row.call.body)


def _with_times(part: Parsed, received_at: float) -> Parsed:
    """A message as if it had been processed when its call was received."""
    if isinstance(part, Message):
        return replace(part, created_at=received_at, updated_at=received_at)
    return part

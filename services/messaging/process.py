"""Processing of the inbox: webhook calls become messages, receipts and jobs, many in a transaction.

A call leaves the inbox in the transaction that stores its parts. So it is processed once, however
often a worker is interrupted. Where it stores plain messages only, it waits for no fsync: a power
failure may undo it as a whole, and the calls, which are on the disk, are processed again with the
same ids. What was told by an opt-out or a receipt is on the disk before work goes on.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import nsmallest

import structlog
from sqlalchemy import Connection

from services.config.metrics import WEBHOOKS
from services.core.errors import StorageUnwell
from services.core.keywords import keyword
from services.core.messages import Message, Parsed, Unreadable
from services.messaging.call_files import CallFiles, has_content
from services.messaging.derived_ids import with_derived_ids
from services.messaging.store_parts import AddJobs, CallParts, Outcome, PartStore
from services.providers.base import Provider
from services.store import inbox, jobs
from services.store.database.store import Store
from services.store.inbox import InboxCall

log = structlog.get_logger()

MOST_CALLS = 200  # in one transaction: about 20 ms, for which other writers wait
MOST_BYTES = 4_000_000  # of their bodies
MOST_PARTS = 200  # of all calls of a transaction; a call with more takes several of them
MOST_UNREADABLE = 20  # parts of a call that are kept one by one
MOST_WITH_FILES = 4  # calls whose files are being stored at the same time
MOST_LEFT_OUT = 1000  # calls that a look at the inbox leaves out
FILES_RETRY_SECONDS = 5.0  # after the files of a call could not be stored
OTHERS = "other carriers"  # the lease on calls of carriers that are not configured any more

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A call of the inbox and what it contains."""

    row: InboxCall
    parts: tuple[Parsed, ...]
    is_fault: bool = False  # its parts could not be stored: it is one unreadable part

    @property
    def to_store(self) -> CallParts:
        """The call as ``PartStore`` takes it."""
        return CallParts(self.row.provider, self.row.call, self.parts)

    @property
    def is_plain(self) -> bool:
        """Whether all its parts are messages that change nothing beside themselves."""
        return all(
            isinstance(part, Message) and part.opt_out is None and keyword(part.text) is None
            for part in self.parts
        )


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
    # Ids of calls: those whose files are being stored; those with files that wait for a free slot;
    # those that cannot be stored until the worker is started again.
    _storing_files: set[int] = field(default_factory=set, init=False)
    _waiting_for_slot: set[int] = field(default_factory=set, init=False)
    _unstorable: set[int] = field(default_factory=set, init=False)
    # How many parts are stored of a call that has more than fit into a transaction, by its id.
    _stored: dict[int, int] = field(default_factory=dict, init=False)

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
        """Process the oldest calls in one transaction; of a call with very many parts, some parts.

        ``leased`` are the names of the leases that the caller has. In each attempt at the
        transaction ``add_jobs`` returns the function that adds its jobs; ``also`` is done in the
        same transaction. Where the transaction fails because of a fault with one of its calls,
        each call is stored in a transaction of its own, without ``add_jobs`` and ``also``. Raises
        ``StorageUnwell``.
        """
        calls = self._next(leased)
        ready = self._ready(calls, spawn)
        if ready:
            self.parts.prepare()
        if ready and len(ready[0].parts) > MOST_PARTS:
            self._store_first_parts(ready[0])
            return Processed(committed=False, more=True)
        committed = bool(ready) and self._store(ready, add_jobs, also)
        return Processed(committed, more=bool(ready) or len(calls) == MOST_CALLS)

    def process_all(self) -> None:
        """Process everything in the inbox, as a worker with all leases does."""
        while self.store.read(inbox.count):
            self.process_batch(self.lease_names)

    def _next(self, leased: Collection[str]) -> list[InboxCall]:
        carriers = sorted(set(leased) - {OTHERS})
        others_than = self.providers if OTHERS in leased else None
        free_slots = max(0, MOST_WITH_FILES - len(self._storing_files))
        self._waiting_for_slot.difference_update(nsmallest(free_slots, self._waiting_for_slot))
        left_out = self._storing_files | self._waiting_for_slot | self._unstorable
        return self.store.read(
            lambda tx: inbox.oldest(
                tx, carriers, others_than, calls=MOST_CALLS, size=MOST_BYTES, without=left_out
            )
        )

    def _ready(self, calls: Sequence[InboxCall], spawn: Callable[[Work], object]) -> list[_Parsed]:
        """Those of the oldest calls that one transaction can store.

        A call with files is begun by itself, in a free slot. A call with more parts than fit is
        alone.
        """
        ready: list[_Parsed] = []
        parts = 0
        for row in calls:
            parsed = self._parse(row)
            if any(map(has_content, parsed.parts)):
                self._begin_with_files(parsed, spawn)
                continue
            parts += len(parsed.parts)
            if ready and parts > MOST_PARTS:
                break
            ready.append(parsed)
        return ready

    def _begin_with_files(self, parsed: _Parsed, spawn: Callable[[Work], object]) -> None:
        if len(self._storing_files) < MOST_WITH_FILES:
            self._storing_files.add(parsed.row.id)
            spawn(partial(self._process_with_files, parsed))
        elif len(self._waiting_for_slot) < MOST_LEFT_OUT:
            self._waiting_for_slot.add(parsed.row.id)

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
        checked = [self.parts.checked(part, row.call) for part in parts]
        left = _few_unreadable(row, checked)[self._stored.get(row.id, 0) :]
        return _Parsed(row, tuple(with_derived_ids(row, part) for part in left))

    def _store(
        self,
        batch: Sequence[_Parsed],
        add_jobs: Callable[[Connection], AddJobs] = lambda _: jobs.add,
        also: Callable[[Connection], object] = lambda _: None,
    ) -> bool:
        """Store parsed calls in one transaction; where that fails, each in its own.

        Returns whether the one transaction was committed.
        """

        def work(tx: Connection) -> list[tuple[_Parsed, list[Outcome]]]:
            also(tx)
            there = inbox.remove(tx, [parsed.row.id for parsed in batch])
            left = [parsed for parsed in batch if parsed.row.id in there]
            outcomes = self.parts.store(tx, [parsed.to_store for parsed in left], add_jobs(tx))
            return list(zip(left, outcomes, strict=True))

        try:
            durable = not all(parsed.is_plain for parsed in batch)
            stored = self.store.write(work, durable=durable)
        except StorageUnwell:
            raise
        except Exception as error:
            log.exception("calls could not be processed", count=len(batch))
            self._store_each(batch, error)
            return False
        for parsed in batch:
            self._stored.pop(parsed.row.id, None)
        self._report(stored)
        return True

    def _store_first_parts(self, parsed: _Parsed) -> None:
        """Store as many parts of a call as fit into one transaction; it stays in the inbox.

        After an interruption they may be stored again: a text or a receipt that is known changes
        nothing, and unreadable parts come last.
        """
        row, first = parsed.row, replace(parsed, parts=parsed.parts[:MOST_PARTS])
        try:
            [outcomes] = self.store.write(
                lambda tx: self.parts.store(tx, [first.to_store]), durable=not first.is_plain
            )
        except StorageUnwell:
            raise
        except Exception as error:
            log.exception("calls could not be processed", count=1)
            self._store_each([parsed], error)
            return
        self._stored[row.id] = self._stored.get(row.id, 0) + len(first.parts)
        self._report([(first, outcomes)])

    def _store_each(self, batch: Sequence[_Parsed], error: Exception) -> None:
        """Store calls one by one; one that fails alone becomes unreadable with the reason."""
        for parsed in batch:
            if len(batch) > 1:
                self._store([parsed])
            elif parsed.is_fault:
                self._unstorable.add(parsed.row.id)
                log.error(
                    "a call stays in the inbox until the worker is started again",
                    call=parsed.row.id,
                )
            else:
                self._store([_Parsed(parsed.row, (_fault(parsed.row, error),), is_fault=True)])

    def _process_with_files(self, parsed: _Parsed) -> None:
        """Store the files of a call, then the call. It stays in the inbox where this fails."""
        try:
            parts = tuple(self.files.save(part) for part in parsed.parts)
            self._store([replace(parsed, parts=parts)])
        except StorageUnwell as error:
            log.error("files cannot be stored yet", call=parsed.row.id, reason=str(error))
            time.sleep(FILES_RETRY_SECONDS)
        except Exception as error:
            log.exception("the files of a call could not be processed", call=parsed.row.id)
            self._store_each([parsed], error)
        finally:
            self._storing_files.discard(parsed.row.id)

    def _report(self, stored: Sequence[tuple[_Parsed, list[Outcome]]]) -> None:
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


def _few_unreadable(row: InboxCall, parts: Sequence[Parsed]) -> Sequence[Parsed]:
    """The parts of a call, the unreadable ones last: many become one part with the whole call."""
    unreadable = [part for part in parts if isinstance(part, Unreadable)]
    if not unreadable:
        return parts
    if len(unreadable) > MOST_UNREADABLE:
        reason = f"{len(unreadable)} parts cannot be read. The first one: {unreadable[0].reason}"
        unreadable = [Unreadable(reason, row.call.body)]
    return [*(part for part in parts if not isinstance(part, Unreadable)), *unreadable]

"""What is kept no longer: by its age, or because the person it is about wants it deleted.

The files of a message go before its rows, so that what is interrupted is simply done again.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from services.core.durations import DAY
from services.store import counters, messages
from services.store.database import secure_delete
from services.store.maintenance import people, pruning, removal
from services.store.maintenance.pruning import Outdated

if TYPE_CHECKING:
    from services.gateway import Gateway

log = structlog.get_logger()
PAUSE_SECONDS = 1.0  # between two batches: at most so many messages a second


@dataclass(frozen=True, slots=True)
class Ages:
    """The times (seconds since 1970) before which messages, or only their files, go."""

    messages: float | None = None
    files: float | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """What is kept of somebody outside.

    ``messages`` are their numbers (``seq``), ``waiting`` how many of them something is still to be
    done for, ``groups`` in how many group conversations they are, ``quarantined`` the webhooks in
    quarantine that name them, by their ids.
    """

    messages: tuple[int, ...]
    waiting: int
    groups: int
    quarantined: tuple[int, ...]


def ages(gateway: "Gateway") -> Ages:
    """What the environment says (``KEEP_MESSAGES_DAYS``, ``KEEP_MEDIA_DAYS``), from now."""
    service = gateway.environment.service
    return Ages(_ago(service.keep_messages_days), _ago(service.keep_media_days))


def _ago(days: int | None) -> float | None:
    return None if days is None else time.time() - days * DAY


def outdated(gateway: "Gateway", than: Ages) -> Outdated:
    """What ``prune`` would delete in all. Raises ``StorageUnwell``."""
    return gateway.store.read(lambda tx: pruning.outdated(tx, than.messages, than.files))


def prune(gateway: "Gateway", than: Ages) -> bool:
    """Delete one small batch of what is older; whether there may be more.

    Raises ``StorageUnwell``; what was not done is done by the next call.
    """
    more = False
    if than.messages is not None:
        before = than.messages
        old = gateway.store.read(lambda tx: pruning.old_messages(tx, before))
        removed = _remove(gateway, old)
        rest = gateway.store.write(lambda tx: pruning.remove_rest(tx, before))
        if removed or rest:
            log.info("pruned", messages=removed, others=rest)
        more = max(removed, rest) >= removal.BATCH
    if than.files is not None:
        files_before = than.files
        files = gateway.store.read(lambda tx: pruning.old_files(tx, files_before))
        for file_id in files:
            gateway.media.remove(file_id)
        if files:
            gateway.store.write(lambda tx: pruning.mark_deleted(tx, files))
            log.info("pruned", files=len(files))
        more = more or len(files) >= removal.BATCH
    return more


def person(gateway: "Gateway", peer: str) -> Person:
    """What is kept of somebody (``peer`` as messages have it). Raises ``StorageUnwell``."""
    found: list[int] = []
    waiting = 0
    for seqs in _batches(gateway, peer):
        found += seqs
        waiting += gateway.store.read(partial(people.count_unfinished, seqs=seqs))
    return Person(
        messages=tuple(found),
        waiting=waiting,
        groups=gateway.store.read(partial(people.groups, peer=peer)),
        quarantined=tuple(gateway.store.read(partial(people.quarantined, peer=peer))),
    )


def forget(gateway: "Gateway", peer: str, known: Person) -> int:
    """Delete what is kept of somebody, and let the apps load anew; returns how many messages went.

    What something is still to be done for stays, and everything of it. Raises ``StorageUnwell``.
    """
    gateway.store.write(partial(secure_delete.erase_words, on=True))
    try:
        removed = 0
        for seqs in _batches(gateway, peer):
            found = gateway.store.read(partial(messages.by_seq, seqs=seqs))
            removed += _remove(gateway, [message.id for message in found.values()])
        gateway.store.write(lambda tx: people.forget_rest(tx, peer, known.quarantined))
        gateway.store.write(lambda tx: counters.put(tx, counters.RESET, messages.next_seq(tx)))
    finally:
        gateway.store.write(partial(secure_delete.erase_words, on=False))
    return removed


def _batches(gateway: "Gateway", peer: str) -> Iterator[list[int]]:
    after = 0
    while seqs := gateway.store.read(partial(people.messages_of, peer=peer, after=after)):
        yield seqs
        after = seqs[-1]


def _remove(gateway: "Gateway", message_ids: Sequence[str]) -> int:
    if not message_ids:
        return 0
    for file_id in gateway.store.read(lambda tx: removal.files_of(tx, message_ids)):
        gateway.media.remove(file_id)
    return gateway.store.write(lambda tx: removal.remove(tx, message_ids))

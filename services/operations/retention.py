"""Deleting messages and files: by their age, or all that is kept of one person.

The files of a message are deleted before its rows, so that an interrupted run can be repeated.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from services.config.sections import ServiceSettings
from services.core.durations import DAY
from services.media.media_store import MediaStore
from services.messaging.cancelling import cancel_scheduled
from services.messaging.route import Router
from services.store import counters, messages, scheduled
from services.store.database import secure_delete
from services.store.database.store import Store
from services.store.maintenance import people, pruning, removal
from services.store.maintenance.pruning import Outdated

log = structlog.get_logger()
PERSON_FORGOTTEN = "person_forgotten"
MEMBER_DELETED = "A member of the group was deleted from Textbridge. Write it to the others again."
PAUSE_SECONDS = 1.0  # between two batches


@dataclass(frozen=True, slots=True)
class Ages:
    """The times (seconds since 1970) before which messages, or only their files, are deleted."""

    messages: float | None = None
    files: float | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one batch has deleted, and whether there may be more (``more``)."""

    messages: int
    files: int
    more: bool


@dataclass(frozen=True, slots=True)
class Person:
    """The stored data of one person.

    ``messages`` are the numbers (``seq``) of the messages, ``waiting`` how many of them have jobs
    that are not done, ``groups`` the number of group conversations with the person, ``scheduled``
    how many messages are scheduled to these groups, ``quarantined``
    the ids of webhooks in quarantine that name the person, ``inbox`` those of webhooks that are not
    processed yet.
    """

    messages: tuple[int, ...]
    waiting: int
    groups: int
    scheduled: int
    quarantined: tuple[int, ...]
    inbox: tuple[int, ...]


class Retention:
    """Deletes rows of the database and the files that belong to them."""

    def __init__(
        self, store: Store, media: MediaStore, router: Router, service: ServiceSettings
    ) -> None:
        self._store = store
        self._router = router
        self._media = media
        self._service = service

    def ages(self) -> Ages:
        """The ages of ``KEEP_MESSAGES_DAYS`` and ``KEEP_MEDIA_DAYS``, counted from now."""
        service = self._service
        return Ages(_ago(service.keep_messages_days), _ago(service.keep_media_days))

    def outdated(self, than: Ages) -> Outdated:
        """What ``prune`` would delete in all. Raises ``StorageUnwell``."""
        return self._store.read(lambda tx: pruning.outdated(tx, than.messages, than.files))

    def prune(self, than: Ages) -> Pruned:
        """Delete one small batch of older data.

        Raises ``StorageUnwell``; the next call continues.
        """
        more, removed, files = False, 0, list[str]()
        if than.messages is not None:
            before = than.messages
            old = self._store.read(lambda tx: pruning.old_messages(tx, before))
            removed = self._remove(old)
            rest = self._store.write(lambda tx: pruning.remove_rest(tx, before))
            if removed or rest:
                log.info("pruned", messages=removed, others=rest)
            more = max(removed, rest) >= removal.BATCH
        if than.files is not None:
            files_before = than.files
            files = self._store.read(lambda tx: pruning.old_files(tx, files_before))
            for file_id in files:
                self._media.remove(file_id)
            if files:
                self._store.write(lambda tx: pruning.mark_deleted(tx, files))
                log.info("pruned", files=len(files))
            more = more or len(files) >= removal.BATCH
        return Pruned(removed, len(files), more)

    def person(self, peer: str) -> Person:
        """The stored data of a person (``peer`` as in messages). Raises ``StorageUnwell``."""
        found: list[int] = []
        waiting = 0
        for seqs in self._batches(peer):
            found += seqs
            waiting += self._store.read(partial(people.count_unfinished, seqs=seqs))
        groups = self._store.read(partial(people.groups, peer=peer))
        return Person(
            messages=tuple(found),
            waiting=waiting,
            groups=len(groups),
            scheduled=len(
                self._store.read(partial(scheduled.in_conversations, conversation_ids=groups))
            ),
            quarantined=tuple(self._store.read(partial(people.quarantined, peer=peer))),
            inbox=tuple(self._store.read(partial(people.in_inbox, peer=peer))),
        )

    def forget(self, peer: str, known: Person) -> int:
        """Delete the data of a person and make the apps reload; returns the number of messages.

        Scheduled messages to the person, also in groups, are never sent. Messages with jobs that
        are still to be done stay, and webhooks in the inbox. Raises ``StorageUnwell``.
        """
        self._store.write(partial(secure_delete.erase_words, on=True))
        try:
            self._store.write(partial(self._cancel_in_groups, peer=peer))
            removed = 0
            for seqs in self._batches(peer):
                found = self._store.read(partial(messages.by_seq, seqs=seqs))
                self._store.write(partial(scheduled.cancel_before_removal, seqs=seqs))
                removed += self._remove([message.id for message in found.values()])
            self._store.write(lambda tx: people.forget_rest(tx, peer, known.quarantined))
            self._store.write(lambda tx: counters.put(tx, counters.RESET, messages.next_seq(tx)))
        finally:
            self._store.write(partial(secure_delete.erase_words, on=False))
        return removed

    def _batches(self, peer: str) -> Iterator[list[int]]:
        after = 0
        while seqs := self._store.read(partial(people.messages_of, peer=peer, after=after)):
            yield seqs
            after = seqs[-1]

    def _remove(self, message_ids: Sequence[str]) -> int:
        if not message_ids:
            return 0
        for file_id in self._store.read(lambda tx: removal.files_of(tx, message_ids)):
            self._media.remove(file_id)
        return len(self._store.write(lambda tx: removal.remove(tx, message_ids)))

    def _cancel_in_groups(self, tx: Connection, peer: str) -> None:
        counters.hold_sequence(tx)
        waiting = scheduled.in_conversations(tx, people.groups(tx, peer))
        cancel_scheduled(tx, self._router, waiting, PERSON_FORGOTTEN, MEMBER_DELETED)


def _ago(days: int | None) -> float | None:
    return None if days is None else time.time() - days * DAY

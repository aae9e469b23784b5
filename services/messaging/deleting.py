"""Deleting in apps: a message or a conversation, for everybody who has the number.

What is to be sent, or is being sent, is not deleted. Opt-outs with their proof, contacts and
blocked senders stay.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, select

from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import Device, uuid7
from services.media.media_store import MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.device_limits import CONVERSATION_CHANGES, DeviceLimits
from services.store import (
    attachments,
    conversations,
    counters,
    deletions,
    jobs,
    messages,
    scheduled,
)
from services.store.database.schema import messages as messages_table
from services.store.database.store import Store
from services.store.deletions import Deleter
from services.store.maintenance import removal

log = structlog.get_logger()
SECONDS = 15.0  # after which a call deletes no further messages: the app waits for the answer


@dataclass(frozen=True, slots=True)
class DeletedCounts:
    """How many messages of a conversation were deleted, and how many are still there."""

    deleted: int
    kept: int


@dataclass(eq=False)
class Deleting:
    """Deletes messages and conversations for apps, where the operator allows it."""

    store: Store
    access: ConversationAccess
    media: MediaStore
    limits: DeviceLimits
    is_allowed: bool

    def delete_message(self, device: Device, message_id: str) -> None:
        """Delete a message of the device's numbers; a scheduled one is cancelled thereby.

        Raises ``RequestRefused`` and ``StorageUnwell``.
        """
        self._require_allowed(device)
        own = self._numbers(device)
        found = self.store.read(lambda tx: messages.by_id(tx, message_id, own))
        if found is None:
            raise RequestRefused("not_found", "There is no such message.", status=404)
        deleter = Deleter(uuid7(), device.extension, device.id)
        if not self._delete(deleter, [found.id], [found.seq]):
            raise RequestRefused(
                "being_sent",
                "This message is being sent or handed over at the moment. Delete it once that is "
                "done.",
                status=409,
            )
        log.info(
            "message deleted in an app",
            message_id=found.id,
            conversation_id=found.conversation_id,
            extension=device.extension,
            device=device.id,
        )

    def delete_conversation(self, device: Device, conversation_id: str) -> DeletedCounts:
        """Delete the messages that a conversation of the device's numbers has at this moment.

        It is gone with its last message. A long one may need several calls. Raises
        ``RequestRefused`` and ``StorageUnwell``.
        """
        self._require_allowed(device)
        own = self._numbers(device)

        def begin(tx: Connection) -> int:
            if conversations.by_id(tx, conversation_id, own) is None:
                raise RequestRefused("not_found", "There is no such conversation.", status=404)
            return messages.latest_seq(tx)

        up_to = self.store.read(begin)
        deleter = Deleter(uuid7(), device.extension, device.id)
        ends = time.monotonic() + SECONDS
        after = deleted = 0
        while batch := self._batch(conversation_id, after, up_to):
            deleted += self._delete(deleter, [one.id for one in batch], [one.seq for one in batch])
            after = batch[-1].seq
            if time.monotonic() >= ends:
                break
        kept = self.store.read(
            lambda tx: messages.count_in_conversation(tx, conversation_id, up_to)
        )
        log.info(
            "conversation deleted in an app",
            conversation_id=conversation_id,
            messages=deleted,
            kept=kept,
            extension=device.extension,
            device=device.id,
        )
        return DeletedCounts(deleted, kept)

    def _require_allowed(self, device: Device) -> None:
        if not self.is_allowed:
            raise RequestRefused(
                "deleting_not_allowed",
                "Deleting in apps is switched off. The administrator can allow it with "
                "ALLOW_DELETE=true.",
                status=403,
            )
        self.limits.spend(device, CONVERSATION_CHANGES)

    def _numbers(self, device: Device) -> list[str]:
        return [setting.number for setting in self.access.numbers(device.extension)]

    def _batch(self, conversation_id: str, after: int, up_to: int) -> Sequence[messages.Place]:
        return self.store.read(
            lambda tx: messages.places(
                tx, conversation_id, after=after, up_to=up_to, limit=removal.BATCH
            )
        )

    def _delete(self, deleter: Deleter, ids: Sequence[str], seqs: Sequence[int]) -> int:
        """Delete those of some messages that nothing works on; returns how many.

        Their files are deleted after the transaction, so that a message that stays keeps its own.
        """

        def work(tx: Connection) -> tuple[int, list[str]]:
            free = self._cancel(tx, deleter, ids, seqs)
            of_these = messages_table.c.id.in_(free), ~removal.awaits_work()
            rows = tx.execute(select(messages_table).where(*of_these)).all()
            gone = [str(row.id) for row in rows]
            files = attachments.detach(tx, gone)
            removal.remove(tx, gone)
            deletions.add_messages(tx, deleter, messages.next_seqs(tx, len(rows)), rows)
            for conversation_id, number in {(row.conversation_id, row.number) for row in rows}:
                if conversations.by_id(tx, conversation_id, [number]) is None:
                    changed = messages.next_seq(tx)
                    deletions.add_conversation(tx, deleter, changed, number, conversation_id)
            return len(rows), files

        deleted, files = self.store.write(work)
        self._remove_files(files)
        return deleted

    def _remove_files(self, file_ids: Sequence[str]) -> None:
        """Delete detached files; those that remain are deleted by the next periodic cleaning."""
        try:
            for file_id in file_ids:
                self.media.remove(file_id)
                self.store.write(partial(attachments.remove, file_id=file_id), durable=False)
        except StorageUnwell as error:
            log.warning("files of deleted messages remain for now", error=str(error))

    def _cancel(
        self, tx: Connection, deleter: Deleter, ids: Sequence[str], seqs: Sequence[int]
    ) -> list[str]:
        """Cancel what waits for some messages; returns those on which nothing works then."""
        counters.hold_sequence(tx)
        busy = jobs.being_worked_on(tx, ids)
        free = [message_id for message_id in ids if message_id not in busy]
        scheduled.cancel_before_removal(tx, seqs)
        jobs.cancel_all(tx, free, f"Deleted by extension {deleter.extension}.")
        return free

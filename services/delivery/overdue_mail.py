"""Overdue texts: a text that no phone has taken for some time is mailed as well.

Which channels want that, and after how long, is ``Channel.email_after``. The mail goes to the
e-mail addresses that the number of the text has in Message Settings; those that got the text by
mail already get no second one. A text that an extension has read in an app is not mailed.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import structlog
from sqlalchemy import Connection

from services.messaging.access import ConversationAccess
from services.push.base import Channel
from services.store import conversations, jobs, messages
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

log = structlog.get_logger()

AT_ONCE = 200  # jobs looked at in one transaction


class OverdueMail:
    """Queues the mails of texts that wait for too long on their channel."""

    def __init__(
        self, store: Store, access: ConversationAccess, channels: Iterable[Channel]
    ) -> None:
        self._store = store
        self._access = access
        self._channels = [channel for channel in channels if channel.email_after is not None]

    def queue_mails(self) -> None:
        """Queue the mails that are due; to be repeated. Raises ``StorageUnwell``."""
        for channel in self._channels:
            after_id = 0
            while found := self._store.read(partial(self._overdue, channel, after_id)):
                after_id = found[-1].id
                added = self._store.write(partial(self._queue, found))
                if added:
                    log.info("mailed as no phone took it", channel=channel.name, count=added)

    def _overdue(self, channel: Channel, after_id: int, tx: Connection) -> Sequence[Job]:
        since = clock.now(tx) - (channel.email_after or 0.0)
        destination = f"push:{channel.name}"
        return jobs.long_waiting(tx, destination, "received", since, after_id, AT_ONCE)

    def _queue(self, waiting: Sequence[Job], tx: Connection) -> int:
        """Queue the mails of these jobs' messages, unless they are queued or done already."""
        found = messages.by_ids(tx, sorted({job.message_id for job in waiting}))
        mails = [
            Job(JobKind.EMAIL, message.id, "email", target=address)
            for message in found.values()
            if not conversations.readers(tx, message.conversation_id, message.seq)
            and (setting := self._access.setting(message.number)) is not None
            for address in setting.emails
        ]
        return len(jobs.add(tx, mails))

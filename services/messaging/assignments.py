"""Giving conversations to owners: groups in turn or by the first answer, handing over, done.

An owner alone is notified of new texts of a group. All members see the conversation and may answer.
An owner without a device loses it: with the next text, or after a minute. An e-mail address that
has answered is an owner as well; it is mailed as before, and no extension is notified meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog
from sqlalchemy import Connection

from services.core.authors import is_address
from services.core.errors import RequestRefused
from services.core.messages import Message
from services.message_settings import MessageSettings
from services.message_settings.rules import Assign, Decision, Group
from services.messaging.access import ConversationAccess
from services.push.base import Channel
from services.store import assignments, devices, messages
from services.store.assignments import Assignment, Turn
from services.store.conversations import Conversation
from services.store.database import clock
from services.store.database.store import Store

log = structlog.get_logger()
RELEASED_AT_ONCE = 100  # conversations of one owner in one transaction
Give = Callable[[Connection, str, Iterable[str]], object]
"""Notify extensions of what is unread in a conversation."""


@dataclass(eq=False)
class Assignments:
    """Decides and keeps who owns a conversation."""

    store: Store
    settings: MessageSettings
    access: ConversationAccess
    channels: Mapping[str, Channel]

    def receivers(
        self,
        tx: Connection,
        message: Message,
        decision: Decision,
        assigned: dict[str, Assignment],
    ) -> tuple[str, ...]:
        """The extensions to notify of a new inbound message; its conversation is open again.

        ``assigned`` are the assignments that conversations have now, and is kept up to date.
        """
        known = assigned.get(message.conversation_id)
        if known is None and not decision.groups:
            return decision.extensions
        before = known or Assignment(message.conversation_id)
        is_done = before.done_at is not None
        now = replace(before, owner=None, owned_at=None, done_at=None) if is_done else before
        found = list(decision.extensions)
        mailed = frozenset(map(str.casefold, decision.emails))
        for group in decision.groups:
            members, now = self._members(tx, message, group, now, mailed)
            found += members
        if now != before:
            assignments.put(tx, now)
            assigned[message.conversation_id] = now
        return tuple(dict.fromkeys(found))

    def answered(self, tx: Connection, message: Message) -> None:
        """Give a conversation of a group to the author who is the first to answer."""
        known = assignments.by_id(tx, message.conversation_id)
        if known is None or known.group_name is None or known.owner or known.done_at:
            return
        group = self.settings.rules.groups.get(known.group_name)
        if group is not None and group.assign is Assign.FIRST_TO_ANSWER:
            assignments.put(tx, self._owned(tx, known, message.extension))

    def hand_over(self, tx: Connection, conversation: Conversation, owner: str | None) -> None:
        """Give a conversation to an author, or to nobody. Raises ``RequestRefused``."""
        if owner is not None and not self.access.author_may(owner, conversation.number):
            raise RequestRefused(
                "not_their_number",
                f"{self.access.author_name(owner)} does not have {conversation.number}, so it "
                "cannot see this conversation.",
                field="owner",
            )
        known = assignments.by_id(tx, conversation.id) or Assignment(conversation.id)
        owner = owner.casefold() if owner is not None and is_address(owner) else owner
        if known.owner != owner:
            assignments.put(tx, self._owned(tx, known, owner))

    def set_done(self, tx: Connection, conversation: Conversation, done: bool) -> None:
        """Set a conversation to done, or open it again."""
        known = assignments.by_id(tx, conversation.id) or Assignment(conversation.id)
        if (known.done_at is not None) is not done:
            assignments.put(tx, replace(known, done_at=clock.now(tx) if done else None))

    def release(self, give: Give) -> int:
        """Take the conversations of owners who have no device any more; returns how many.

        The next one gets them, or all, by the group's way; ``give`` notifies them.
        """
        released = 0
        for owner in self.store.read(assignments.owners):
            if not self.store.read(partial(self._is_reachable, extension=owner)):
                released += self.store.write(partial(self._release, owner=owner, give=give))
        if released:
            log.info("conversations taken from owners without a device", count=released)
        return released

    def _release(self, tx: Connection, owner: str, give: Give) -> int:
        found = assignments.owned_by(tx, owner, RELEASED_AT_ONCE)
        for known in found:
            group = self.settings.rules.groups.get(known.group_name or "")
            nobody = replace(known, owner=None, owned_at=None)
            newest = messages.page(tx, known.conversation_id, limit=1, released=True)
            if group is None or not newest:
                assignments.put(tx, nobody)
                continue
            members, now = self._unowned(tx, group, nobody, newest[0].id)
            assignments.put(tx, now)
            give(tx, known.conversation_id, members)
        return len(found)

    def _members(
        self,
        tx: Connection,
        message: Message,
        group: Group,
        known: Assignment,
        mailed: frozenset[str],
    ) -> tuple[tuple[str, ...], Assignment]:
        """The extensions of a group to notify, and the assignment from now on.

        None where its owner is one of the addresses to which the message is ``mailed``.
        """
        known = replace(known, group_name=group.name)
        if group.assign is Assign.ALL:
            return group.extensions, known
        owner = known.owner
        if owner in mailed:
            return (), known
        if (
            owner is not None
            and self.access.extension_may(owner, message.number)
            and self._is_reachable(tx, owner)
        ):
            return (owner,), known
        return self._unowned(tx, group, replace(known, owner=None, owned_at=None), message.id)

    def _unowned(
        self, tx: Connection, group: Group, known: Assignment, message_id: str
    ) -> tuple[tuple[str, ...], Assignment]:
        """The extensions to notify of a conversation of a group without an owner.

        ``message_id`` is that of the message with which somebody may get their turn.
        """
        if group.assign is not Assign.ROUND_ROBIN:
            return group.extensions, known
        extension = self._next(tx, group)
        if extension is None:
            return group.extensions, known
        assignments.set_turn(tx, message_id, Turn(group.name, extension, clock.now(tx)))
        return (extension,), self._owned(tx, known, extension)

    def _next(self, tx: Connection, group: Group) -> str | None:
        """The extension after the last one that has a device, if any has."""
        last, members = assignments.last_turn(tx, group.name), group.extensions
        begin = members.index(last) + 1 if last in members else 0
        turn = (*members[begin:], *members[:begin])
        return next((one for one in turn if self._is_reachable(tx, one)), None)

    def _is_reachable(self, tx: Connection, extension: str) -> bool:
        """Whether an author has a device, or a channel that every extension has, or is mailed."""
        if is_address(extension):
            return True
        has_shared = any(not channel.per_device for channel in self.channels.values())
        return has_shared or bool(devices.of(tx, [extension]))

    def _owned(self, tx: Connection, known: Assignment, owner: str | None) -> Assignment:
        return replace(known, owner=owner, owned_at=clock.now(tx) if owner is not None else None)

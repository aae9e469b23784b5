"""Routing of inbound messages: the delivery jobs for the extensions and addresses of a number."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

import structlog
from sqlalchemy import Connection

from services.core.authors import is_address
from services.core.messages import Device, Message, Status
from services.message_settings import MessageSettings
from services.message_settings.rules import Decision, InboundText
from services.messaging.access import ConversationAccess
from services.messaging.assignments import Assignments
from services.push.base import Channel
from services.store import assignments, conversation_marks, devices, jobs, messages, unrouted
from services.store.assignments import Assignment
from services.store.database.store import Store
from services.store.jobs import Job, JobKind

log = structlog.get_logger()
# When an e-mail with files is due. It waits on for them up to ``jobs.FILES_WAIT_SECONDS``.
FILES_SECONDS = 60.0
NOT_SENT = {Status.FAILED, Status.UNKNOWN, Status.CANCELLED}
GIVEN_MESSAGES = 20  # of a conversation that gets another owner


@dataclass(eq=False, slots=True)
class RoutingData:
    """What routing needs of the database, loaded once for all messages of a transaction.

    ``assignments`` and ``muted`` (by which extensions) are those of the messages' conversations
    that have any. ``targets`` is filled while routing: (destination, target) of each device and
    channel to notify, by the extensions.
    """

    assignments: dict[str, Assignment]
    muted: Mapping[str, frozenset[str]]
    targets: dict[tuple[str, ...], list[tuple[str, str]]] = field(default_factory=dict)


def load_routing_data(tx: Connection, conversation_ids: Iterable[str]) -> RoutingData:
    """What routing needs for messages in these conversations."""
    ids = sorted(set(conversation_ids))
    return RoutingData(assignments.of(tx, ids), conversation_marks.muted_in(tx, ids))


class Router:
    """Decides by Message Settings and registered devices where a message is delivered."""

    def __init__(
        self,
        store: Store,
        settings: MessageSettings,
        access: ConversationAccess,
        channels: Mapping[str, Channel],
        owners: Assignments,
    ) -> None:
        self._owners = owners
        self._store = store
        self._settings = settings
        self._access = access
        self._channels = channels

    def decide(self, number: str, peer: str, text: str, at: float) -> Decision:
        """Who gets a text to a number, by the rules in force ``at`` (seconds since 1970)."""
        setting = self._settings.for_number(number)
        return self._settings.rules.decide(setting, InboundText(number, peer, text, at))

    def inbound_jobs(
        self,
        tx: Connection,
        message: Message,
        decision: Decision,
        data: RoutingData,
    ) -> list[Job]:
        """All jobs of a new inbound message: fetching its files, then notifying and mailing.

        ``data`` is loaded for all messages of the transaction.
        """
        return [*_fetches(message), *self._deliveries(tx, message, decision, data)]

    def update_jobs(self, message: Message, about: str) -> list[Job]:
        """The jobs that report a changed message to the channels which want updates.

        An e-mail address that has written it is told only what became of it if it may not have
        been sent.
        """
        author = message.extension or ""
        told = [author] if is_address(author) and about in NOT_SENT else []
        mails = [Job(JobKind.EMAIL, message.id, "email", target=to, about=about) for to in told]
        return mails + [
            _push(message, f"push:{channel.name}", f"{channel.name}:{extension}", about)
            for channel in self._channels.values()
            if channel.wants_status_updates and not channel.per_device
            for extension in self._access.extensions(message.number)
        ]

    def notify_read(self, tx: Connection, reader: Device, conversation_id: str, up_to: int) -> None:
        """Queue jobs that clear a read conversation's notifications on the other devices.

        ``up_to`` is the ``seq`` up to which ``reader`` has read the conversation.
        """
        read = [
            message
            for message in messages.page(tx, conversation_id, before=up_to + 1, limit=1)
            if self._access.extension_may(reader.extension, message.number)
        ]
        others = [
            (self._channels[device.channel].destination(device.address), device.id)
            for device in devices.of(tx, [reader.extension])
            if device.channel in self._channels
            and self._channels[device.channel].wants_read_events
            and device.id != reader.id
        ]
        jobs.add(tx, [_push(message, *other, "read") for message in read for other in others])

    def give(self, tx: Connection, conversation_id: str, extensions: Iterable[str]) -> None:
        """Queue the notifications of extensions about the unanswered texts of a conversation."""
        unanswered = takewhile(
            lambda message: message.direction == "in",
            messages.page(tx, conversation_id, limit=GIVEN_MESSAGES, released=True),
        )
        muted = conversation_marks.muted_in(tx, [conversation_id]).get(conversation_id, frozenset())
        targets = self._look_up_targets(tx, extensions, muted)
        jobs.add(
            tx,
            [
                _push(message, *target, "received")
                for message in reversed(list(unanswered))
                for target in targets
            ],
        )

    def route_waiting(self) -> int:
        """Deliver stored messages whose number had no recipient before and has one now."""
        waiting = self._store.read(unrouted.numbers)
        routed = 0
        for number in filter(self._settings.reaches_somebody, waiting):
            routed += self._store.write(partial(self._route, number=number))
        if routed:
            log.info("unrouted messages delivered", count=routed)
        return routed

    def _route(self, tx: Connection, number: str) -> int:
        """Deliver the newest of the messages that wait and that somebody gets now."""
        before: int | None = None
        while waiting := messages.find(tx, number=number, unrouted=True, limit=500, before=before):
            decided = [
                (one, self.decide(one.number, one.peer, one.text, one.created_at))
                for one in reversed(waiting)
            ]
            reached = [(message, by) for message, by in decided if by.reaches_somebody]
            data = load_routing_data(tx, (message.conversation_id for message, _ in reached))
            for message, decision in reached:
                unrouted.mark_routed(tx, message.id, decision.rule_names)
                jobs.add(tx, self._deliveries(tx, message, decision, data))
            if reached:
                return len(reached)
            before = waiting[-1].seq
        return 0

    def _deliveries(
        self, tx: Connection, message: Message, decision: Decision, data: RoutingData
    ) -> list[Job]:
        """The jobs that deliver an inbound message to the extensions and addresses that get it."""
        extensions = self._owners.receivers(tx, message, decision, data.assignments)
        if not decision.reaches_somebody:
            return []
        awaited = any(file.state == "pending" for file in message.media)
        mail_due = time.time() + (FILES_SECONDS if awaited else 0.0)
        mails = [
            Job(JobKind.EMAIL, message.id, "email", target=address, due=mail_due)
            for address in decision.emails
        ]
        pushes = [
            _push(message, destination, target, "received")
            for destination, target in self._push_targets(tx, message, extensions, data)
        ]
        return [*pushes, *mails]

    def _push_targets(
        self, tx: Connection, message: Message, extensions: tuple[str, ...], data: RoutingData
    ) -> list[tuple[str, str]]:
        if muted := data.muted.get(message.conversation_id):
            return self._look_up_targets(tx, extensions, muted)
        if extensions not in data.targets:
            data.targets[extensions] = self._look_up_targets(tx, extensions)
        return data.targets[extensions]

    def _look_up_targets(
        self,
        tx: Connection,
        extensions: Iterable[str],
        muted: frozenset[str] = frozenset(),
    ) -> list[tuple[str, str]]:
        """(destination, target) of each device and channel to notify for some extensions.

        Devices of extensions that have ``muted`` the conversation are left out. Channels without
        devices get the text all the same: by them alone it reaches the extension.
        """
        extensions = tuple(extensions)
        shared = [c.name for c in self._channels.values() if not c.per_device]
        targets = [(f"push:{name}", f"{name}:{ext}") for name in shared for ext in extensions]
        if len(shared) < len(self._channels):
            targets += [
                (self._channels[device.channel].destination(device.address), device.id)
                for device in devices.of(tx, [ext for ext in extensions if ext not in muted])
                if device.channel in self._channels
            ]
        return targets


def _fetches(message: Message) -> list[Job]:
    return [
        Job(JobKind.FETCH, message.id, f"fetch:{message.provider}", target=file.id)
        for file in message.media
        if file.state == "pending"
    ]


def _push(message: Message, destination: str, target: str, about: str) -> Job:
    lane = f"push:{target}:{message.conversation_id}"
    return Job(JobKind.PUSH, message.id, destination, target=target, about=about, lane=lane)

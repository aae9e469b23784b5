"""Routing: which jobs bring a message, or what became of it, to whoever its number belongs to."""

import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from services.core.messages import Device, Message
from services.message_settings import NumberSetting
from services.store import devices, jobs, messages, unrouted
from services.store.jobs import Job, JobKind

if TYPE_CHECKING:
    from services.gateway import Gateway

log = structlog.get_logger()
PICTURES_SECONDS = 60.0  # how long a mail waits for the pictures that belong into it


class Router:
    """Knows by Message Settings and devices where things go."""

    def __init__(self, gateway: "Gateway") -> None:
        self._house = gateway
        self._settings = gateway.settings
        self._channels = gateway.channels

    def jobs_for(
        self, tx: Connection, message: Message, setting: NumberSetting | None
    ) -> list[Job]:
        """Everything that has to be done for a new inbound message, its files first."""
        return [*_fetches(message), *self._deliveries(tx, message, setting)]

    def updates(self, message: Message, about: str) -> list[Job]:
        """The jobs that tell channels which want to know what became of a message."""
        setting = self._settings.for_number(message.number)
        if setting is None:
            return []
        return [
            _push(message, f"push:{channel.name}", f"{channel.name}:{extension}", about)
            for channel in self._channels.values()
            if channel.wants_status_updates and not channel.per_device
            for extension in setting.extensions
        ]

    def tell_read(self, tx: Connection, reader: Device, conversation_id: str, up_to: int) -> None:
        """Let the extension's other devices take away what they show of a conversation.

        ``up_to`` is the ``seq`` up to which ``reader`` has read it.
        """
        read = messages.page(tx, conversation_id, before=up_to + 1, limit=1)
        others = [
            (self._channels[device.channel].destination(device.address), device.id)
            for device in devices.of(tx, [reader.extension])
            if device.channel in self._channels
            and self._channels[device.channel].wants_read_events
            and device.id != reader.id
        ]
        jobs.add(tx, [_push(message, *other, "read") for message in read for other in others])

    def route_waiting(self) -> int:
        """Deliver kept messages whose number somebody is set up to receive by now."""
        waiting = self._house.store.read(unrouted.numbers)
        reached = [
            setting
            for number in waiting
            if (setting := self._settings.for_number(number)) and setting.reaches_somebody
        ]
        routed = 0
        for setting in reached:
            routed += self._house.store.write(partial(self._route, setting=setting))
        if routed:
            log.info("unrouted messages delivered", count=routed)
        return routed

    def _route(self, tx: Connection, setting: NumberSetting) -> int:
        waiting = messages.find(tx, number=setting.number, unrouted=True, limit=500)
        for message in reversed(waiting):
            unrouted.mark_routed(tx, message.id)
            jobs.add(tx, self._deliveries(tx, message, setting))
        return len(waiting)

    def _deliveries(
        self, tx: Connection, message: Message, setting: NumberSetting | None
    ) -> list[Job]:
        """The jobs that bring an inbound message to whoever its number belongs to."""
        if setting is None or not setting.reaches_somebody:
            return []
        awaited = any(file.state == "pending" for file in message.media)
        mail_due = time.time() + (PICTURES_SECONDS if awaited else 0.0)
        mails = [
            Job(JobKind.EMAIL, message.id, "email", target=address, due=mail_due)
            for address in setting.emails
        ]
        pushes = [
            _push(message, destination, target, "received")
            for destination, target in self._listeners(tx, setting.extensions)
        ]
        return [*pushes, *mails]

    def _listeners(self, tx: Connection, extensions: Iterable[str]) -> list[tuple[str, str]]:
        """(destination, target) of everything that is pushed to for some extensions."""
        everywhere = [c.name for c in self._channels.values() if not c.per_device]
        listeners = [(f"push:{name}", f"{name}:{ext}") for name in everywhere for ext in extensions]
        if len(everywhere) < len(self._channels):
            listeners += [
                (self._channels[device.channel].destination(device.address), device.id)
                for device in devices.of(tx, extensions)
                if device.channel in self._channels
            ]
        return listeners


def _fetches(message: Message) -> list[Job]:
    return [
        Job(JobKind.FETCH, message.id, f"fetch:{message.provider}", target=file.id)
        for file in message.media
        if file.state == "pending"
    ]


def _push(message: Message, destination: str, target: str, about: str) -> Job:
    lane = f"push:{target}:{message.conversation_id}"
    return Job(JobKind.PUSH, message.id, destination, target=target, about=about, lane=lane)

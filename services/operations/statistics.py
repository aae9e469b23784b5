"""Statistics: messages and pushes by the hour, as the operator's charts and tables show them."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial, reduce
from math import inf
from operator import add

from sqlalchemy import Connection

from services.core.local_time import UTC_TIME, LocalTime
from services.core.messages import Status
from services.providers import PROVIDERS
from services.store import activity, push_times
from services.store.activity import HOUR, MessageGroup
from services.store.database.store import Store

OPEN = (Status.QUEUED, Status.SENDING, Status.SENT)
"""Statuses of a sent message whose result is not known yet."""
SETTLED = (Status.DELIVERED, Status.FAILED, Status.UNKNOWN)
MEDIAN, MOST = 0.5, 0.95


@dataclass(frozen=True)
class Figures:
    """How many messages of each kind there were, and how many pushes within how many milliseconds.

    The bounds of the pushes are those of ``push_times.WITHIN``, and ``LATE``.
    """

    messages: Counter[MessageGroup]
    pushes: Counter[int]

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(self.messages + other.messages, self.pushes + other.pushes)

    def received(self, carrier: str | None = None) -> int:
        """How many were received, by one carrier or by all."""
        return self._count("in", (Status.RECEIVED,), carrier)

    def sent(self, states: Collection[Status] = tuple(Status), carrier: str | None = None) -> int:
        """How many outbound messages are in these states now, by one carrier or by all."""
        return self._count("out", states, carrier)

    def rate(self, carrier: str | None = None) -> float | None:
        """The delivered share (0 to 1) of the messages with a final status, if there are any."""
        settled = self.sent(SETTLED, carrier)
        return self.sent((Status.DELIVERED,), carrier) / settled if settled else None

    def pushed(self, part: float) -> float | None:
        """The seconds within which this share of the pushes was accepted.

        Infinite if it was later than two minutes, ``None`` if there were no pushes.
        """
        total, reached = self.pushes.total(), 0
        if not total:
            return None
        for within in push_times.WITHIN:
            reached += self.pushes[within]
            if reached >= part * total:
                return within / 1000
        return inf

    def _count(self, direction: str, states: Collection[Status], carrier: str | None) -> int:
        return sum(
            count
            for kind, count in self.messages.items()
            if kind.direction == direction
            and kind.status in states
            and carrier in (None, kind.provider)
        )


@dataclass(frozen=True)
class Point:
    """The figures of some hours; ``at`` is when they begin (seconds since 1970)."""

    at: float
    figures: Figures


@dataclass(frozen=True)
class Activity:
    """A span of time in equal steps of some hours, oldest first; the last one is not over yet."""

    hours: int
    points: tuple[Point, ...]
    local_time: LocalTime = UTC_TIME

    def begins(self, point: "Point") -> datetime:
        """When a point begins in local time; of a day its noon, as clocks may have changed."""
        return self.local_time.of(point.at + (HOUR * 12 if self.hours == 24 else 0))

    def is_multiple(self, point: "Point", steps: int) -> bool:
        """Whether a point is one of every ``steps`` steps, counted from a local midnight."""
        hour = int(point.at) // HOUR + _hours_ahead(self.local_time, time.time())
        return hour % (self.hours * steps) == 0

    @cached_property
    def total(self) -> Figures:
        """The figures of the whole span."""
        return reduce(add, (point.figures for point in self.points))

    @property
    def carriers(self) -> Mapping[str, str]:
        """The names and titles of all carriers that had messages."""
        seen = {kind.provider for kind in self.total.messages}
        titles = {each.name: each.title for each in PROVIDERS if each.name in seen}
        return titles | {name: name for name in sorted(seen - titles.keys())}


def activity_of(
    store: Store, steps: int, hours: int = 1, local_time: LocalTime = UTC_TIME
) -> Activity:
    """The last ``steps`` times ``hours`` hours, up to now. Raises ``StorageUnwell``.

    Days begin at midnight by the present offset of local time, in whole hours.
    """
    at = time.time()
    now = int(at) // HOUR
    begun = (now + _hours_ahead(local_time, at)) % hours
    slots = range(now - begun - (steps - 1) * hours, now + 1, hours)
    return store.read(partial(_read, slots=slots, local_time=local_time))


def _hours_ahead(local_time: LocalTime, at: float) -> int:
    """How many whole hours local time is ahead of UTC."""
    return int((local_time.of(at).utcoffset() or timedelta()) / timedelta(hours=1))


def count(store: Store) -> None:
    """Count the messages and pushes since the last call. Raises ``StorageUnwell``."""
    for table in (activity, push_times):
        if store.read(table.is_behind):
            while store.write(table.count):
                pass


def _read(tx: Connection, slots: range, local_time: LocalTime) -> Activity:
    found = {slot: Figures(Counter(), Counter()) for slot in slots}
    for (slot, kind), messages in activity.counts(tx, slots.start, slots.step).items():
        if slot in found:
            found[slot].messages[kind] += messages
    for (slot, within), pushes in push_times.counts(tx, slots.start, slots.step).items():
        if slot in found:
            found[slot].pushes[within] += pushes
    points = (Point(float(slot * HOUR), figures) for slot, figures in found.items())
    return Activity(slots.step, tuple(points), local_time)

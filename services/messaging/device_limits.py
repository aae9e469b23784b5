"""Limits on what a device's token may do beside sending and uploading.

They bound what a stolen token or a faulty app can write and the work that it can cause. They are
more than a person needs in an app. ``docs/limits.md`` lists every call of a device with its bound.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from services.core.durations import DAY, HOUR, MINUTE, in_words
from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import Device
from services.messaging.send_limits import SPANS
from services.store import contacts, quotas
from services.store.database.store import Store
from services.store.quotas import Quota, UsedUp

log = structlog.get_logger()
MOST_CONTACTS = 10_000  # of the whole installation: one answer lists all of them


@dataclass(frozen=True, slots=True)
class DeviceLimit:
    """How often a device may do something: (most, seconds); ``may`` says what, with ``{most}``."""

    name: str
    may: str
    spans: tuple[tuple[int, float], ...]

    def quotas(self, device: Device) -> list[Quota]:
        """The quotas of one device."""
        return [Quota(f"{self.name}:{device.id}", most, seconds) for most, seconds in self.spans]


CONTACTS = DeviceLimit("contacts", "change {most} contacts", ((120, MINUTE), (2_000, DAY)))
CONTACT_IMPORTS = DeviceLimit(
    "contact imports", "import contacts {most} times", ((10, MINUTE), (100, DAY))
)
TEST_PUSHES = DeviceLimit("tests", "send {most} test notifications", ((5, MINUTE), (50, DAY)))
DEVICE_CHANGES = DeviceLimit(
    "changes", "change its settings {most} times", ((30, MINUTE), (500, DAY))
)
CONVERSATION_CHANGES = DeviceLimit(
    "conversations",
    "change {most} conversations (read, mute, pin, assign)",
    ((600, MINUTE),),
)
SEARCHES = DeviceLimit("searches", "search {most} times", ((300, MINUTE),))
CONSENT_CHANGES = DeviceLimit(
    "consent", "opt out or block {most} people", ((30, MINUTE), (300, DAY))
)
SCHEDULE_CHANGES = DeviceLimit(
    "schedule", "change {most} scheduled texts", ((60, MINUTE), (1_000, DAY))
)
BULK_SENDS = DeviceLimit(
    "bulk", "make, preview or cancel {most} bulk sends", ((10, MINUTE), (100, DAY))
)
DEVICE_LIMITS = (
    CONTACTS,
    CONTACT_IMPORTS,
    TEST_PUSHES,
    DEVICE_CHANGES,
    CONVERSATION_CHANGES,
    SEARCHES,
    CONSENT_CHANGES,
    SCHEDULE_CHANGES,
    BULK_SENDS,
)


class DeviceLimits:
    """Counts what each device does, over all processes and nodes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self, tx: Connection, device: Device, limit: DeviceLimit) -> None:
        """Count a change in the transaction that makes it. Raises ``RequestRefused`` (429)."""
        _refuse_if(limit, quotas.take(tx, limit.quotas(device)))

    def spend(self, device: Device, limit: DeviceLimit) -> None:
        """Count work before it is begun. Raises ``RequestRefused`` (429) and ``StorageUnwell``.

        A call that is refused writes nothing. A power cut may undo the count.
        """
        wanted = limit.quotas(device)
        _refuse_if(limit, self._store.read(partial(quotas.used_up, quotas=wanted)))
        self._store.write(
            lambda tx: _refuse_if(limit, quotas.take(tx, wanted)),
            durable=False,
        )

    def spend_on_reading(self, device: Device, limit: DeviceLimit) -> None:
        """As ``spend``, but a disk that cannot write refuses no reading."""
        with suppress(StorageUnwell):
            self.spend(device, limit)

    def count_contact(self, tx: Connection, device: Device, *, new: bool) -> None:
        """Count a change of a contact; ``new``: one more is kept.

        Raises ``RequestRefused`` (429).
        """
        self.count(tx, device, CONTACTS)
        if new and contacts.count(tx) >= MOST_CONTACTS:
            log.warning("limit reached", name="contacts", most=MOST_CONTACTS)
            raise RequestRefused(
                "limit_reached",
                f"Textbridge keeps {MOST_CONTACTS} contacts at most. Remove some, then try again.",
                status=429,
                retry_after=HOUR,
            )


def _refuse_if(limit: DeviceLimit, spent: UsedUp | None) -> None:
    if spent is None:
        return
    most, seconds = spent.quota.most, spent.quota.seconds
    log.warning("limit reached", name=spent.quota.name, most=most, seconds=seconds)
    raise RequestRefused(
        "limit_reached",
        f"This device may {limit.may.format(most=most)} {SPANS[seconds]}. "
        f"Try again in {in_words(spent.seconds)}.",
        status=429,
        retry_after=spent.seconds,
    )

"""Devices as the targets of push jobs: looking one up, recording a failed push."""

from sqlalchemy import Connection

from services.core.errors import DeliveryError, Kind, PushError
from services.core.messages import Device
from services.store import devices
from services.store.jobs import Job


def device_of(tx: Connection, job: Job) -> Device:
    """The device of a push job; a whole channel's view of an extension (``webhook:201``) is one.

    Raises ``PushError`` for a device that was revoked.
    """
    name, colon, extension = job.target.partition(":")
    if colon:
        return Device(id=job.target, extension=extension, channel=name)
    device = devices.by_id(tx, job.target)
    if device is None:
        raise PushError("The device was revoked.", Kind.REFUSED)
    return device


def record_failure(tx: Connection, device_id: str, error: DeliveryError) -> None:
    """Store why a device was not notified; an address that is gone is deleted."""
    if error.kind is Kind.GONE:
        devices.forget_address(tx, device_id, error.reason)
    else:
        devices.record_push(tx, device_id, error.reason)

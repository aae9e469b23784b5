"""Tables of devices (the installed apps of each extension) and of pairing codes.

Tokens and codes are stored as SHA-256 hashes only.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, update

from services.core.messages import Device, Preview, uuid7
from services.core.quiet_hours import QuietHours
from services.store.database import clock
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import devices, pairings

_BY_TOKEN = CompiledStatement(
    lambda _: select(devices).where(
        devices.c.token_hash == bindparam("token_hash"), devices.c.revoked_at.is_(None)
    )
)
_BY_ID = CompiledStatement(
    lambda _: select(devices).where(
        devices.c.id == bindparam("device_id"), devices.c.revoked_at.is_(None)
    )
)
_OF = CompiledStatement(
    lambda _: select(devices).where(
        devices.c.extension == bindparam("of"), devices.c.revoked_at.is_(None)
    )
)
PAIRING_SECONDS = 600.0
# Without 0, 1, I and O, which users confuse: 8 characters have 39 bits.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
# The devices of the sandbox's page; those of version 0.1.0 have the platform ``web``.
SANDBOX_NAME, SANDBOX_PLATFORM, OLD_SANDBOX_PLATFORM = "Sandbox", "sandbox", "web"
_NO_ADDRESS: dict[str, Any] = {"channel": "none", "address": {}, "address_hash": None}


@dataclass(frozen=True, slots=True)
class Use:
    """Number of devices of an extension, and when one was seen last (seconds since 1970)."""

    devices: int
    seen_at: float | None


def add(
    tx: Connection,
    extension: str,
    name: str,
    *,
    platform: str = "",
    channel: str = "none",
    address: Mapping[str, Any] | None = None,
) -> tuple[Device, str]:
    """Add a device to an extension; returns it with its token."""
    token = f"tb_{secrets.token_urlsafe(32)}"
    device = Device(
        id=uuid7(),
        extension=extension,
        channel=channel,
        name=name,
        platform=platform,
        address=dict(address or {}),
        created_at=time.time(),
    )
    tx.execute(
        devices.insert().values(
            id=device.id,
            extension=extension,
            name=name,
            platform=platform,
            channel=channel,
            address=dict(device.address),
            token_hash=_hash(token),
            created_at=device.created_at,
        )
    )
    return device, token


def by_token(tx: Connection, token: str) -> Device | None:
    """The device that a token belongs to, unless it was revoked."""
    row = _BY_TOKEN.row(tx, token_hash=_hash(token))
    return _device(row) if row is not None else None


def by_id(tx: Connection, device_id: str) -> Device | None:
    """One device, unless it was revoked."""
    row = _BY_ID.row(tx, device_id=device_id)
    return _device(row) if row is not None else None


def including_revoked(tx: Connection, device_ids: Iterable[str]) -> dict[str, Device]:
    """Devices by id, also those that were revoked."""
    rows = tx.execute(select(devices).where(devices.c.id.in_(set(device_ids))))
    return {str(row.id): _device(row) for row in rows}


def of(tx: Connection, extensions: Iterable[str] | None = None) -> list[Device]:
    """The devices of some extensions or of all, oldest first."""
    if extensions is None:
        statement = select(devices).where(devices.c.revoked_at.is_(None)).order_by(devices.c.id)
        return [_device(row) for row in tx.execute(statement)]
    found = (row for extension in extensions for row in _OF.rows(tx, of=extension))
    return sorted(map(_device, found), key=lambda device: device.id)


def extensions(tx: Connection) -> set[str]:
    """The extensions that have a device."""
    statement = select(devices.c.extension).where(devices.c.revoked_at.is_(None)).distinct()
    return {str(extension) for (extension,) in tx.execute(statement)}


def use_by_extension(tx: Connection) -> dict[str, Use]:
    """How many devices each extension has, and when one of them was seen last."""
    statement = (
        select(devices.c.extension, func.count().label("devices"), func.max(devices.c.seen_at))
        .where(devices.c.revoked_at.is_(None))
        .group_by(devices.c.extension)
    )
    return {
        str(extension): Use(int(count), seen_at)
        for extension, count, seen_at in tx.execute(statement)
    }


def without_address(tx: Connection, limit: int) -> list[Device]:
    """Devices whose push address has ended (``forget_address``), oldest first."""
    ended = (devices.c.channel == "none", devices.c.last_error.is_not(None))
    statement = select(devices).where(devices.c.revoked_at.is_(None), *ended)
    return [_device(row) for row in tx.execute(statement.order_by(devices.c.id).limit(limit))]


def page(tx: Connection, extension: str, after: str, limit: int) -> list[Device]:
    """Devices of an extension (empty: of all), oldest first, with ids above ``after``."""
    statement = (
        select(devices)
        .where(devices.c.revoked_at.is_(None), devices.c.id > after)
        .order_by(devices.c.id)
        .limit(limit)
    )
    if extension:
        statement = statement.where(devices.c.extension == extension)
    return [_device(row) for row in tx.execute(statement)]


def newest(tx: Connection, limit: int) -> list[Device]:
    """The newest devices, newest first."""
    statement = select(devices).where(devices.c.revoked_at.is_(None))
    return [
        _device(row) for row in tx.execute(statement.order_by(devices.c.id.desc()).limit(limit))
    ]


def rename(tx: Connection, device_id: str, name: str) -> None:
    """Change the name of a device."""
    tx.execute(update(devices).where(devices.c.id == device_id).values(name=name))


def set_preview(tx: Connection, device_id: str, preview: Preview) -> None:
    """Set how much of a message a notification on a device may show."""
    tx.execute(update(devices).where(devices.c.id == device_id).values(preview=preview))


def set_quiet_hours(tx: Connection, device_id: str, quiet: QuietHours | None) -> None:
    """Set the hours in which a device gets no notifications."""
    document = quiet.to_json() if quiet is not None else None
    tx.execute(update(devices).where(devices.c.id == device_id).values(quiet_hours=document))


def register(tx: Connection, device: Device, channel: str, address: Mapping[str, Any]) -> None:
    """Set the push channel and address of a device; ``none`` stops pushing to it.

    If another device has this address, it is the same app, paired earlier. It loses the address:
    otherwise the app would get notifications twice, perhaps those of another extension.
    """
    if (channel, address) == (device.channel, device.address):
        return
    address_hash = None
    if channel != "none":
        address_hash = _hash(json.dumps([channel, address], sort_keys=True))
        duplicate = (devices.c.address_hash == address_hash, devices.c.id != device.id)
        tx.execute(update(devices).where(*duplicate).values(_NO_ADDRESS))
    tx.execute(
        update(devices)
        .where(devices.c.id == device.id)
        .values(
            channel=channel,
            address=dict(address),
            address_hash=address_hash,
            last_success_at=None,
            last_error=None,
        )
    )


def revoke(tx: Connection, device_id: str) -> bool:
    """Refuse a device's token from now on; false if there is no such device."""
    statement = (
        update(devices)
        .where(devices.c.id == device_id, devices.c.revoked_at.is_(None))
        .values({**_NO_ADDRESS, "revoked_at": time.time()})
    )
    return bool(tx.execute(statement).rowcount)


def of_sandbox(tx: Connection) -> list[str]:
    """The ids of the devices that the sandbox's page has made."""
    platforms = (SANDBOX_PLATFORM, OLD_SANDBOX_PLATFORM)
    made = (devices.c.name == SANDBOX_NAME, devices.c.platform.in_(platforms))
    statement = select(devices.c.id).where(devices.c.revoked_at.is_(None), *made)
    return [str(device_id) for device_id in tx.execute(statement).scalars()]


def seen(tx: Connection, device_id: str, at: float) -> None:
    """Note the time of a device's last call, at most once a minute."""
    stale = or_(devices.c.seen_at.is_(None), devices.c.seen_at < at - 60.0)
    tx.execute(update(devices).where(devices.c.id == device_id, stale).values(seen_at=at))


def record_push(tx: Connection, device_id: str, error: str | None) -> None:
    """Note the outcome of the last push to a device; ``error`` is ``None`` for success."""
    values: dict[str, Any] = {"last_error": error}
    if error is None:
        values["last_success_at"] = time.time()
    tx.execute(update(devices).where(devices.c.id == device_id).values(values))


def forget_address(tx: Connection, device_id: str, error: str) -> None:
    """Remove a push address that does not exist any more; the device's token stays valid."""
    tx.execute(
        update(devices)
        .where(devices.c.id == device_id)
        .values({**_NO_ADDRESS, "last_error": error})
    )


def add_pairing(tx: Connection, extension: str) -> str:
    """Create a pairing code: eight characters, valid once and for ten minutes."""
    tx.execute(delete(pairings).where(pairings.c.expires_at < clock.now(tx)))
    code = "".join(secrets.choice(ALPHABET) for _ in range(8))
    tx.execute(
        pairings.insert().values(
            code_hash=_hash(code), extension=extension, expires_at=clock.now(tx) + PAIRING_SECONDS
        )
    )
    return f"{code[:4]}-{code[4:]}"


def use_pairing(tx: Connection, code: str) -> str | None:
    """The extension of a valid pairing code, which is deleted; ``None`` for any other code."""
    plain = "".join(character for character in code.upper() if character in ALPHABET)
    statement = (
        delete(pairings)
        .where(pairings.c.code_hash == _hash(plain), pairings.c.expires_at >= clock.now(tx))
        .returning(pairings.c.extension)
    )
    return tx.execute(statement).scalar()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _device(row: Row[Any]) -> Device:
    return Device(
        id=row.id,
        extension=row.extension,
        channel=row.channel,
        name=row.name,
        platform=row.platform,
        address=row.address,
        preview=row.preview,
        quiet_hours=QuietHours(**row.quiet_hours) if row.quiet_hours is not None else None,
        created_at=row.created_at,
        seen_at=row.seen_at,
        last_success_at=row.last_success_at,
        last_error=row.last_error,
    )

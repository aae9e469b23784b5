"""Backups: a copy that fits together, made while everything runs, complete or not there at all.

The database is copied first and the attachments after it, so that every file that the copied
database knows of is in the copy, too. What a copy holds, it is asked itself (``look_into``).
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.core.errors import StorageUnwell
from services.store import settings_row
from services.store.database.writer import unwell

DATABASE = "textbridge.db"
SETTINGS = "message_settings.json"
KEY = "app.key"
MEDIA = "media"

_COUNTS = {
    "messages": "SELECT count(*) FROM messages",
    "conversations": "SELECT count(*) FROM conversations",
    "devices": "SELECT count(*) FROM devices WHERE revoked_at IS NULL",
    "waiting": "SELECT count(*) FROM jobs WHERE kind = 'send' AND state IN ('due', 'leased')",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds; ``version`` is its newest migration.

    ``waiting`` are the messages that were still to be sent when it was made. ``files`` are the ids
    of the attachments that its messages have, ``missing`` those not in it, or not whole.
    """

    version: str
    messages: int
    conversations: int
    devices: int
    waiting: int
    files: tuple[str, ...]
    missing: tuple[str, ...]


def is_embedded(engine: Engine) -> bool:
    """Whether the database is SQLite in the storage folder, so that a backup can hold it."""
    return engine.dialect.name == "sqlite"


def back_up(engine: Engine, storage: Path, folder: Path) -> Path:
    """Copy everything into a new folder ``textbridge-YYYYmmdd-HHMMSS`` below ``folder``.

    Of what PostgreSQL keeps only Message Settings are in it (see ``is_embedded``). Returns the new
    folder. Raises ``StorageUnwell`` when the copy cannot be made; nothing half-made is left then.
    """
    target = folder / time.strftime("textbridge-%Y%m%d-%H%M%S")
    with _finished(target) as unfinished:
        unfinished.mkdir(mode=0o700, parents=True)
        if is_embedded(engine):
            _copy_database(engine, unfinished / DATABASE)
            copy_file(storage / SETTINGS, unfinished / SETTINGS)
        else:
            _write_settings(engine, unfinished / SETTINGS)
        copy_file(storage / KEY, unfinished / KEY)
        _copy_media(storage / MEDIA, unfinished / MEDIA)
    return target


def look_into(engine: Engine, folder: Path) -> Contents:
    """Check a copy of SQLite's database and its files. Raises ``StorageUnwell`` for a damaged one.

    ``engine`` is any on SQLite; nothing in the folder changes.
    """
    sqlite: Any = engine.dialect.dbapi
    address = f"file:{quote(str((folder / DATABASE).resolve()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite.connect(address, uri=True)) as copy:
            _refuse_damaged(copy)
            (version,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
            counts = {name: copy.execute(query).fetchone()[0] for name, query in _COUNTS.items()}
            files = copy.execute("SELECT id, size FROM attachments WHERE state = 'kept'").fetchall()
    except sqlite.Error as error:
        raise StorageUnwell(f"{folder / DATABASE} cannot be read: {error}.") from error
    missing = tuple(str(id) for id, size in files if _size(media_path(folder, id)) != size)
    known = tuple(str(id) for id, _ in files)
    return Contents(str(version), **counts, files=known, missing=missing)


def media_path(folder: Path, file_id: str) -> Path:
    """Where an attachment is in a storage folder, and in a copy of one."""
    return folder / MEDIA / file_id[-2:] / file_id


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _refuse_damaged(copy: Any) -> None:
    found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found == "ok" and copy.execute("PRAGMA foreign_key_check").fetchone() is not None:
        found = "rows refer to others that are not there"
    if found != "ok":
        raise StorageUnwell(f"The copy of the database is damaged: {found}.")


def back_up_database(engine: Engine, target: Path) -> None:
    """Copy SQLite's database alone to a new file. Raises ``StorageUnwell``."""
    with _finished(target) as unfinished:
        _copy_database(engine, unfinished)


@contextmanager
def _finished(target: Path) -> Iterator[Path]:
    """A path beside ``target`` that takes its name only when the block has done its work."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.exists():
            raise StorageUnwell(f"{target} is there already; a backup never overwrites anything.")
        yield unfinished
        unfinished.rename(target)
        _flush(target.parent)
    except OSError as error:
        reason = f"The backup cannot be made: {error.filename or target}: {error.strerror}."
        raise StorageUnwell(reason) from error
    finally:
        with suppress(OSError):
            unfinished.unlink() if unfinished.is_file() else shutil.rmtree(unfinished)


def _copy_database(engine: Engine, target: Path) -> None:
    """Copy one consistent state of the database; nobody who writes meanwhile has to wait."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    sqlite: Any = engine.dialect.dbapi
    try:
        with closing(engine.raw_connection()) as source, closing(sqlite.connect(target)) as copy:
            driver: Any = source.driver_connection
            driver.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            _refuse_damaged(copy)
    except sqlite.Error as error:
        raise StorageUnwell(f"The database cannot be copied: {error}.") from error
    _flush(target)


def _copy_media(source: Path, target: Path) -> None:
    """Copy the kept attachments; one that is removed meanwhile belongs to no message any more."""
    target.mkdir(mode=0o700)
    for file in source.glob("*/*"):
        if file.suffix != ".part":
            (target / file.parent.name).mkdir(mode=0o700, exist_ok=True)
            copy_file(file, target / file.parent.name / file.name)
    _flush(target)


def _write_settings(engine: Engine, target: Path) -> None:
    """Write Message Settings that the database keeps as the file that SQLite has beside it."""
    try:
        with engine.begin() as transaction:
            content = settings_row.document(transaction)
    except (DBAPIError, PoolTimeout) as error:
        raise unwell(error) from error
    if content is not None:
        _write_file(BytesIO(content), target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, readable by its owner only, safely to the disk; one that is gone is left out."""
    try:
        reader = source.open("rb")
    except FileNotFoundError:
        return
    with reader:
        _write_file(reader, target)


def _write_file(reader: BinaryIO, target: Path) -> None:
    private = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "wb") as writer:
        shutil.copyfileobj(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())


def _flush(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Backups: a copy that fits together, made while everything runs, complete or not there at all.

The database is copied first and the attachments after it, so that every file that the copied
database knows of is in the copy, too.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.errors import StorageUnwell
from services.store import settings_row
from services.store.writer import unwell

DATABASE = "textbridge.db"
SETTINGS = "message_settings.json"
KEY = "app.key"
MEDIA = "media"


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
            _copy_file(storage / SETTINGS, unfinished / SETTINGS)
        else:
            _write_settings(engine, unfinished / SETTINGS)
        _copy_file(storage / KEY, unfinished / KEY)
        _copy_media(storage / MEDIA, unfinished / MEDIA)
    return target


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
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite.Error as error:
        raise StorageUnwell(f"The database cannot be copied: {error}.") from error
    if found != "ok":
        raise StorageUnwell(f"The copy of the database is damaged: {found}.")
    _flush(target)


def _copy_media(source: Path, target: Path) -> None:
    """Copy the kept attachments; one that is removed meanwhile belongs to no message any more."""
    target.mkdir(mode=0o700)
    for file in source.glob("*/*"):
        if file.suffix != ".part":
            (target / file.parent.name).mkdir(mode=0o700, exist_ok=True)
            _copy_file(file, target / file.parent.name / file.name)
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


def _copy_file(source: Path, target: Path) -> None:
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

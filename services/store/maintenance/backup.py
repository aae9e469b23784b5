"""Backup: a consistent copy of the database, Message Settings and attachments of a running system.

A backup is complete or does not exist. The database is copied before the attachments, so that every
file that the copied database refers to is in the backup too. ``inspect_backup`` reads a backup.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.config.storage_layout import DATABASE, KEY, MEDIA, SETTINGS
from services.core.commands import flask_command
from services.core.errors import StorageUnwell
from services.core.progress import Progress, silent
from services.store import settings_row
from services.store.database.writer import unwell
from services.store.maintenance import postgres_programs

PAGES = 2_000  # of one step: 8 MB
ANOTHER_BEGINS = "Another backup begins in this folder. Run the command again."
_LEFT = ".textbridge-*.part"  # folders of runs that were interrupted, or are not done yet
_COUNTS = {
    "messages": "SELECT count(*) FROM messages",
    "conversations": "SELECT count(*) FROM conversations",
    "devices": "SELECT count(*) FROM devices WHERE revoked_at IS NULL",
    "waiting": "SELECT count(*) FROM jobs WHERE kind = 'send' AND state IN ('due', 'leased')",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a backup; ``version`` is its newest migration.

    ``waiting`` messages were still to be sent when it was made. ``files`` are the ids of all
    attachments of its messages, ``missing`` those whose file is absent or incomplete.
    """

    version: str
    messages: int
    conversations: int
    devices: int
    waiting: int
    files: tuple[str, ...]
    missing: tuple[str, ...]


def is_embedded(engine: Engine) -> bool:
    """Whether the database is SQLite in the storage folder, so that a backup contains it."""
    return engine.dialect.name == "sqlite"


def back_up(
    engine: Engine,
    storage: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    with_dump: bool = False,
) -> Path:
    """Copy everything into a new folder ``textbridge-YYYYmmdd-HHMMSS`` below ``folder``.

    Of a PostgreSQL database (see ``is_embedded``) it contains Message Settings and, ``with_dump``,
    what pg_dump writes. Returns the new folder. Raises ``StorageUnwell`` if it fails; then nothing
    incomplete is left. A run that is interrupted or killed leaves the attachments that it has
    copied in a hidden folder, and the next one does not copy these again.
    """
    target = folder / time.strftime("textbridge-%Y%m%d-%H%M%S")
    with _atomic(target) as unfinished, _with_copied_media(folder, unfinished):
        if is_embedded(engine):
            _copy_database(engine, unfinished / DATABASE, progress)
            copy_file(storage / SETTINGS, unfinished / SETTINGS)
        else:
            if with_dump:
                _dump(engine, unfinished / postgres_programs.DUMP)
            _write_settings(engine, unfinished / SETTINGS)
        copy_file(storage / KEY, unfinished / KEY)
        _copy_media(storage / MEDIA, unfinished / MEDIA, progress)
    return target


def inspect_backup(engine: Engine, folder: Path) -> Contents:
    """Check the SQLite database and the files of a backup, and return what is in it.

    ``engine`` may be any engine for SQLite. The folder is not changed. Raises ``StorageUnwell`` if
    the database is damaged.
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
    """Path of an attachment's file in a storage folder or a backup."""
    return folder / MEDIA / file_id[-2:] / file_id


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _refuse_damaged(copy: Any) -> None:
    found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found == "ok" and copy.execute("PRAGMA foreign_key_check").fetchone() is not None:
        found = "rows refer to rows that do not exist"
    if found != "ok":
        raise StorageUnwell(f"The copy of the database is damaged: {found}.")


def back_up_database(engine: Engine, target: Path, progress: Progress = silent) -> None:
    """Copy only SQLite's database to a new file. Raises ``StorageUnwell``."""
    with _atomic(target) as unfinished:
        _copy_database(engine, unfinished, progress)


@contextmanager
def _atomic(target: Path) -> Iterator[Path]:
    """A path beside ``target`` that is renamed to ``target`` when the block has succeeded."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    is_kept = False
    try:
        if target.exists():
            raise StorageUnwell(f"{target} exists already; a backup never overwrites anything.")
        yield unfinished
        unfinished.rename(target)
        _flush(target.parent)
    except OSError as error:
        reason = f"The backup cannot be made: {error.filename or target}: {error.strerror}."
        raise StorageUnwell(reason) from error
    except KeyboardInterrupt:
        is_kept = (unfinished / MEDIA).is_dir()
        raise
    finally:
        with suppress(OSError):
            if unfinished.is_file():
                unfinished.unlink()
            elif not is_kept:
                shutil.rmtree(unfinished)


@contextmanager
def _with_copied_media(folder: Path, unfinished: Path) -> Iterator[None]:
    """Make the folder of a backup, with the attachments that an interrupted run has left.

    A run holds a lock on its folder, which ends with its process, so that another run does not
    take what is still being written. What else is left of interrupted runs is deleted.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as locks:
        for left in sorted(folder.glob(_LEFT), reverse=True):
            if not locks.enter_context(_locked(left)):
                continue
            if unfinished.exists() or not (left / MEDIA).is_dir():
                shutil.rmtree(left)
                continue
            left.rename(unfinished)
            for other in unfinished.iterdir():
                if other.name != MEDIA:
                    other.unlink()
        if not unfinished.exists():
            unfinished.mkdir(mode=0o700)
            # Another run that begins now may take a folder without a lock for one that was left.
            if locks.enter_context(_locked(unfinished)) is False or not unfinished.exists():
                raise StorageUnwell(ANOTHER_BEGINS)
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[bool | None]:
    """Hold the lock of a folder; false if another process has it or it is gone.

    It is ``None`` where the file system has no locks.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    is_ours: bool | None = True
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_ours = False
        except OSError:
            is_ours = None
        yield is_ours
    finally:
        os.close(handle)


def _copy_database(engine: Engine, target: Path, progress: Progress) -> None:
    """Copy one consistent state of the database. Writers do not wait for it.

    The open transaction keeps that state between two steps; without it SQLite would begin again
    after each commit of another process.
    """

    def copied(_: int, remaining: int, total: int) -> None:
        progress("database pages", total - remaining, total)

    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    sqlite: Any = engine.dialect.dbapi
    try:
        with closing(engine.raw_connection()) as source, closing(sqlite.connect(target)) as copy:
            driver: Any = source.driver_connection
            driver.execute("BEGIN")
            driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
            driver.backup(copy, pages=PAGES, progress=copied)
            driver.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a write-ahead log
            _refuse_damaged(copy)
    except sqlite.Error as error:
        raise StorageUnwell(f"The database cannot be copied: {error}.") from error
    _flush(target)


def _copy_media(source: Path, target: Path, progress: Progress) -> None:
    """Copy the stored attachments. One that is deleted meanwhile is left out.

    Those that an interrupted run has copied are used; each was renamed when it was on the disk.
    """
    target.mkdir(mode=0o700, exist_ok=True)
    files = [file for file in source.glob("*/*") if file.suffix != ".part"]
    wanted = {file.relative_to(source) for file in files}
    for left in target.glob("*/*"):
        if left.relative_to(target) not in wanted:
            left.unlink()
    for count, file in enumerate(files, start=1):
        copy = target / file.relative_to(source)
        if not copy.exists() or _size(copy) != _size(file):
            copy.parent.mkdir(mode=0o700, exist_ok=True)
            unfinished = copy.with_suffix(".part")
            copy_file(file, unfinished)
            copy.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                unfinished.replace(copy)
        progress("attachments", count, len(files))
    _flush(target)


def _dump(engine: Engine, target: Path) -> None:
    """Let pg_dump copy a PostgreSQL database."""
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        postgres_programs.dump(address, target)
    except postgres_programs.ProgramFailed as error:
        remedy = f"To copy everything but the database: {flask_command('backup --no-dump')}"
        raise StorageUnwell(f"The database cannot be copied. {error} {remedy} FOLDER") from None
    _flush(target)


def _write_settings(engine: Engine, target: Path) -> None:
    """Write Message Settings from PostgreSQL to the file that they have beside SQLite."""
    try:
        with engine.begin() as transaction:
            content = settings_row.document(transaction)
    except (DBAPIError, PoolTimeout) as error:
        raise unwell(error) from error
    if content is not None:
        _write_file(BytesIO(content), target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file durably, readable by its owner only. A missing ``source`` is ignored."""
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
    """Make a file, or the names in a folder, durable (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Restoring a backup into an empty installation.

Messages that waited to be sent at the time of the backup may have been sent since: their status
becomes unknown, and they are never sent automatically; pushes and mails are repeated. What was
scheduled for later is cancelled: it may have been sent, changed or cancelled since. Apps have seen
sequence numbers that the backup has not used yet, so the counter continues far above them, and
every app reloads its lists.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, exists, select

from services.config.storage_layout import DATABASE, KEY, MEDIA, SETTINGS
from services.core.errors import RequestRefused
from services.core.progress import Progress, silent
from services.delivery.outcome import Outcomes
from services.store import attachments, counters, messages, sign_ins, workers
from services.store.database.migrate import head
from services.store.database.schema import contacts, devices
from services.store.database.schema import messages as messages_table
from services.store.database.store import Store
from services.store.maintenance.backup import (
    Contents,
    back_up_database,
    copy_file,
    inspect_backup,
    media_path,
)
from services.store.workers import WORKER_SILENT_SECONDS

SKIPPED = 1_000_000  # sequence numbers: more than any app has seen since a backup
NOT_IN_BACKUP = "This file was not in the backup."
_STAGE = ".restoring"


_Settled = tuple[int, tuple[str, ...]]
"""``unknown`` and ``cancelled`` of ``Restored``."""

OpenCopy = Callable[[Path], AbstractContextManager[tuple[Store, Outcomes]]]


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of a restore: ``contents`` of SQLite's database, ``None`` with PostgreSQL.

    ``unknown`` is the number of messages that may have been sent since, ``cancelled`` has the ids
    of those that were scheduled for later, ``files`` is the number of the copied attachments.
    """

    contents: Contents | None
    unknown: int
    cancelled: tuple[str, ...]
    files: int


class Restore:
    """Restores a backup into an installation that has no data yet."""

    def __init__(
        self,
        store: Store,
        outcomes: Outcomes,
        storage: Path,
        open_copy: OpenCopy,
        *,
        has_bucket: bool,
    ) -> None:
        """``storage`` is the storage folder, absolute; with a bucket attachments are not in it.

        ``open_copy`` opens a copy of the installation in another storage folder.
        """
        self._store = store
        self._outcomes = outcomes
        self._storage = storage
        self._open_copy = open_copy
        self._has_bucket = has_bucket

    def into_sqlite(self, folder: Path, progress: Progress = silent) -> Restored:
        """Restore a backup into an empty installation, all of it or nothing.

        No other process may use the storage folder. Raises ``RequestRefused`` for an installation
        that is in use, and ``StorageUnwell`` for a backup that is damaged. SQLite's database is
        moved to its place last; the store is closed then.
        """
        storage = self._storage
        if not (folder / DATABASE).is_file():
            raise RequestRefused("no_backup", f"{folder} is no backup: it has no {DATABASE}.")
        _refuse_where_in_use(self._store, storage, folder)
        contents = inspect_backup(self._store.engine, folder)
        if contents.version > head():
            raise RequestRefused(
                "newer",
                "The backup is of a newer Textbridge: it has migration "
                f"{contents.version}, this one knows up to {head()}. Install that version first.",
            )
        with _stage(storage / _STAGE) as stage:
            for name in (DATABASE, SETTINGS, KEY):
                copy_file(folder / name, stage / name)
            missing = () if self._has_bucket else contents.missing
            ready = stage / "ready.db"
            unknown, cancelled = self._settled(stage, missing, ready)
            files = put_files(folder, storage, contents.files, progress)
            self._store.disconnect()
            for name in (SETTINGS, KEY):
                with suppress(FileNotFoundError):
                    (stage / name).replace(storage / name)
            for beside in ("-wal", "-shm"):
                (storage / f"{DATABASE}{beside}").unlink(missing_ok=True)
            ready.replace(storage / DATABASE)
            _flush(storage)
        return Restored(contents, unknown, cancelled, files)

    def beside_postgresql(self, folder: Path, progress: Progress = silent) -> Restored:
        """Reset jobs and copy files after pg_restore has restored PostgreSQL's database.

        Raises ``RequestRefused`` while a delivery worker is at work on the database.
        """
        if not (folder / MEDIA).is_dir():
            raise RequestRefused("no_backup", f"{folder} is no backup: it has no folder {MEDIA}.")
        if self._store.read(workers.silence) < WORKER_SILENT_SECONDS:
            raise RequestRefused(
                "in_use",
                "A delivery worker was at work on the database just now. Stop every node that uses "
                "it, and try again in a minute.",
            )
        storage = self._storage
        files = put_files(
            folder, storage, [file.name for file in (folder / MEDIA).glob("*/*")], progress
        )
        unknown, cancelled = self._store.write(lambda tx: _put_back(tx, self._outcomes, ()))
        return Restored(None, unknown, cancelled, files)

    def _settled(self, stage: Path, missing: Iterable[str], ready: Path) -> _Settled:
        """Settle the copied database where no other process is, and leave it as one file."""
        with self._open_copy(stage) as (store, outcomes):
            settled = store.write(lambda tx: _put_back(tx, outcomes, missing))
            back_up_database(store.engine, ready)
        return settled


def put_files(
    folder: Path, storage: Path, file_ids: Sequence[str], progress: Progress = silent
) -> int:
    """Copy attachments that are in the backup and not there yet; returns how many."""
    copied = 0
    for count, file_id in enumerate(file_ids, start=1):
        progress("attachments", count, len(file_ids))
        file, target = media_path(folder, file_id), media_path(storage, file_id)
        if not file.exists() or (target.exists() and target.stat().st_size == file.stat().st_size):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        copy_file(file, unfinished)
        unfinished.replace(target)
        copied += 1
    return copied


def _refuse_where_in_use(store: Store, storage: Path, folder: Path) -> None:
    def keeps_something(tx: Connection) -> bool:
        tables = (messages_table, devices, contacts)
        return any(tx.scalar(select(exists().select_from(table))) for table in tables)

    settings = _read(storage / SETTINGS)
    if store.read(keeps_something) or settings not in (None, _read(folder / SETTINGS)):
        raise RequestRefused(
            "in_use",
            f"{storage} is in use: it has messages, devices, contacts or Message Settings of its "
            f"own, and nothing is overwritten. Move it away first: mv {storage} {storage}.before",
        )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _put_back(tx: Connection, outcomes: Outcomes, missing: Iterable[str]) -> _Settled:
    unknown, later = outcomes.after_restore(tx)
    cancelled = tuple(message.id for message in later)
    for file_id in missing:
        attachments.fail(tx, file_id, NOT_IN_BACKUP)
    sign_ins.end_all(tx)  # some may have been ended since
    seq = messages.latest_seq(tx) + SKIPPED
    for name in ("seq", counters.RESET):
        counters.put(tx, name, seq)
    return unknown, cancelled


@contextmanager
def _stage(path: Path) -> Iterator[Path]:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

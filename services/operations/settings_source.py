"""Opening Message Settings where they are kept: a file beside SQLite, a row of PostgreSQL."""

from pathlib import Path

import structlog

from services.config.storage_layout import SETTINGS
from services.core.errors import SettingsError
from services.message_settings import MessageSettings, SettingsFile, Source
from services.providers import NAMES
from services.store.database.store import Store
from services.store.maintenance.backup import is_embedded
from services.store.settings_row import SettingsRow

log = structlog.get_logger()
FILE = SETTINGS
GOOD_COPY = "message_settings.good.json"


def open_settings(
    store: Store, storage: Path, country: str, time_zone: str = "UTC"
) -> MessageSettings:
    """The Message Settings of an installation; nothing is read yet."""
    embedded = is_embedded(store.engine)
    source: Source = SettingsFile(storage / FILE) if embedded else SettingsRow(store)
    return MessageSettings(source, storage / GOOD_COPY, NAMES, country, time_zone)


def take_over(settings: MessageSettings, file: Path) -> None:
    """Copy the settings file of an installation that moved to PostgreSQL into an empty row.

    Raises ``StorageUnwell``, and ``SettingsError`` for a file that cannot be used.
    """
    try:
        taken = settings.put_first(file.read_bytes())
    except SettingsError as error:
        raise SettingsError(
            f"{file} cannot be taken over into the database: {error} Fix it, or move it away."
        ) from None
    if taken:
        log.info(
            "message settings were taken over into the database; the file is not read any more",
            file=str(file),
            numbers=len(settings.all()),
        )


def left_file(store: Store, storage: Path) -> Path | None:
    """The file that lies in the storage folder although the database keeps Message Settings."""
    file = storage / FILE
    return file if not is_embedded(store.engine) and file.exists() else None

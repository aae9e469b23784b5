"""Message Settings: which number belongs to which carrier, extensions and e-mail addresses.

One JSON document that every process reads: a file (``file.py``) or, where several machines share a
PostgreSQL database, a row of it. What it may say is in ``document.py``. A change is picked up by
every process at its next look; a broken document leaves the last good settings in force and is
reported.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol

from services.core.errors import SettingsConflict, SettingsError, StorageUnwell
from services.message_settings.document import (
    EXTENSION,
    MessageSettingsSchema,
    NumberSetting,
    Reader,
    written,
)
from services.message_settings.file import SettingsFile, replace_file

__all__ = [
    "EXTENSION",
    "MessageSettings",
    "MessageSettingsSchema",
    "NumberSetting",
    "SettingsFile",
    "Source",
]

NEVER = object()  # no version: nothing was read yet
Change = Callable[[list[NumberSetting]], list[NumberSetting]]


class Source(Protocol):
    """Where the document is kept.

    ``name`` is how people know it, ``remedy`` the sentence that says what to do when it is broken.
    What was seen counts as fresh for ``fresh_seconds``. Each call may raise ``StorageUnwell``.
    """

    name: str
    remedy: str
    fresh_seconds: float

    def version(self) -> object:
        """Another one after every change; cheap to ask for."""

    def read(self) -> bytes | None:
        """The document, or ``None`` before the first one."""

    def replace(self, change: Callable[[bytes | None], bytes]) -> None:
        """Keep what ``change`` makes of the document; nobody else changes it meanwhile."""


class MessageSettings:
    """The settings in force.

    ``good_copy`` is the file in which this machine keeps the last good document; ``carriers`` are
    the names that may stand in an entry; ``country`` is assumed for numbers without a country code.
    Until the source could be read once, everything that asks for the settings raises
    ``StorageUnwell``; afterwards what was read last stays in force.
    """

    def __init__(
        self, source: Source, good_copy: Path, carriers: Collection[str], country: str
    ) -> None:
        self._source = source
        self._good_copy = good_copy
        self._reader = Reader(carriers, country)
        self._looking = threading.Lock()
        self._next_look = 0.0
        self._seen: object = NEVER
        self._by_number: dict[str, NumberSetting] = {}
        self._by_extension: dict[str, tuple[NumberSetting, ...]] = {}
        self._problem: str | None = None
        self._generation = ""

    @property
    def problem(self) -> str | None:
        """What is wrong with the document as it stands, or ``None``."""
        try:
            self._look()
        except StorageUnwell as error:
            return f"{self._source.name} cannot be read yet. {error}"
        return self._problem

    @property
    def remedy(self) -> str:
        """What to do about a problem, as a sentence."""
        return self._source.remedy

    @property
    def generation(self) -> str:
        """Changes with every change of the settings in force; the same on every machine."""
        self._look()
        return self._generation

    def look(self) -> None:
        """Take up a change now. Raises ``StorageUnwell`` only before the first time it succeeds."""
        self._look(at_once=True)

    def all(self) -> list[NumberSetting]:
        """Every entry, in the order of the document."""
        self._look()
        return list(self._by_number.values())

    def for_number(self, number: str) -> NumberSetting | None:
        """The entry of one number (E.164)."""
        self._look()
        return self._by_number.get(number)

    def for_extension(self, extension: str) -> tuple[NumberSetting, ...]:
        """The enabled entries that an extension takes part in; the first is its default number."""
        self._look()
        return self._by_extension.get(extension, ())

    def entry(self, entry: dict[str, Any]) -> NumberSetting:
        """An entry as it would be kept. Raises ``EntryRefused`` naming the fields."""
        return self._reader.entry(entry)

    def number(self, written: str) -> str:
        """A number as the entries have it. Raises ``SettingsError`` for what is none."""
        return self._reader.number(written)

    def put(self, entry: dict[str, Any], generation: str | None = None) -> NumberSetting:
        """Add or replace the entry of a number.

        ``generation`` is the one that the editor saw. Raises ``SettingsError`` naming the field,
        ``SettingsConflict`` when somebody else saved in between.
        """
        new = self._reader.entry(entry)

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            if any(known.number == new.number for known in entries):
                return [new if known.number == new.number else known for known in entries]
            return [*entries, new]

        self.change(change, generation)
        return new

    def remove(self, number: str, generation: str | None = None) -> None:
        """Remove the entry of a number. Raises ``SettingsError`` where there is none."""
        plain = self._reader.number(number)

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            left = [entry for entry in entries if entry.number != plain]
            if len(left) == len(entries):
                raise SettingsError(
                    f"{plain} is not in Message Settings. Check how it is written.", "number"
                )
            return left

        self.change(change, generation)

    def change(self, change: Change, generation: str | None = None) -> None:
        """Keep what ``change`` makes of all entries, at once; it may be called more than once.

        ``generation`` is the one that the editor saw. Raises ``SettingsConflict`` when somebody
        else saved in between, ``SettingsError`` with the remedy while the document is broken.
        """

        def changed(content: bytes | None) -> bytes:
            try:
                entries = self._entries(content)
            except SettingsError as error:
                raise SettingsError(f"{self._source.remedy} {self._complaint(error)}") from None
            if generation is not None and generation != _generation(content):
                raise SettingsConflict(
                    "Somebody else has changed Message Settings meanwhile. Look at them again."
                )
            return written(change(entries))

        self._source.replace(changed)
        self.look()

    def document(self) -> bytes:
        """The whole document as it is kept, also a broken one."""
        content = self._source.read()
        return written([]) if content is None else content

    def checked(self, document: bytes) -> bytes:
        """A document as it would be kept. Raises ``SettingsError`` with line and column."""
        return written(self._reader.read(document))

    def put_document(self, document: bytes) -> None:
        """Put another document in the place of the whole one, also of a broken one.

        Raises ``SettingsError`` with line and column for one that cannot be used.
        """
        content = self.checked(document)
        self._source.replace(lambda _: content)
        self.look()

    def put_first(self, document: bytes) -> bool:
        """Put the very first document; false where there is one already.

        Raises ``SettingsError`` with line and column for one that cannot be used.
        """
        if self._source.read() is not None:
            return False
        content = self.checked(document)
        put: list[bool] = []

        def first(kept: bytes | None) -> bytes:
            put[:] = [kept is None]  # another machine may have been quicker
            return content if kept is None else kept

        self._source.replace(first)
        self.look()
        return put[0]

    def _look(self, *, at_once: bool = False) -> None:
        """Take up a change, if it is time to look again. Raises ``StorageUnwell`` at first only."""
        must = at_once or self._seen is NEVER
        if not must and time.monotonic() < self._next_look:
            return
        if not self._looking.acquire(blocking=must):
            return  # somebody looks just now
        try:
            self._next_look = time.monotonic() + self._source.fresh_seconds
            self._take_up()
        except StorageUnwell:
            if self._seen is NEVER:
                raise
        finally:
            self._looking.release()

    def _take_up(self) -> None:
        """Read the document if it is another one than at the last look."""
        version = self._source.version()
        if version == self._seen:
            return
        try:
            content = self._source.read()
            self._use(self._entries(content), content)
            if content is not None:
                self._keep_copy(content)
        except (SettingsError, OSError) as error:
            if self._seen is NEVER:
                self._fall_back()
            self._problem = self._complaint(error)
        self._seen = version

    def _entries(self, content: bytes | None) -> list[NumberSetting]:
        return [] if content is None else self._reader.read(content)

    def _complaint(self, error: Exception) -> str:
        return f"{self._source.name} cannot be used: {error}"

    def _use(self, entries: list[NumberSetting], content: bytes | None) -> None:
        self._by_number = {entry.number: entry for entry in entries}
        by_extension: dict[str, tuple[NumberSetting, ...]] = {}
        for entry in entries:
            for extension in entry.extensions if entry.enabled else ():
                by_extension[extension] = (*by_extension.get(extension, ()), entry)
        self._by_extension = by_extension
        self._generation = _generation(content)
        self._problem = None

    def _fall_back(self) -> None:
        """A process that starts on a broken document takes the copy of the last good one."""
        try:
            content = self._good_copy.read_bytes()
            self._use(self._reader.read(content), content)
        except (SettingsError, OSError):
            self._use([], None)

    def _keep_copy(self, content: bytes) -> None:
        try:
            if not self._good_copy.exists() or self._good_copy.read_bytes() != content:
                replace_file(self._good_copy, content)
        except OSError:
            pass  # a full or read-only disk; the settings in force are in memory


def _generation(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()[:16]

"""``MessageSettings``: the settings in force in this process, kept up to date with their source.

A process checks the source for a new version when the settings are asked for. It checks a large
document in a thread of its own: a caller that asks meanwhile gets the settings in force, at once. A
broken document leaves the last good settings in force and is reported as ``problem``.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from services.config.storage_access import user_name
from services.core.errors import SettingsConflict, SettingsError, StorageUnwell
from services.message_settings.document import (
    NO_DOCUMENT,
    RULE_SECTIONS,
    SECTIONS,
    Document,
    encode_document,
)
from services.message_settings.fields import NumberSetting
from services.message_settings.file import replace_file
from services.message_settings.reader import DocumentReader
from services.message_settings.rules import NO_RULES, Rules
from services.message_settings.rules_reader import RuleError
from services.message_settings.search import find_entries
from services.message_settings.slices import CHEAP_SLICE, in_slices
from services.message_settings.source import Source
from services.message_settings.templates import Template, read_templates

NEVER = object()  # the version before the source was read for the first time
SMALL_BYTES = 64_000  # a document of up to some 300 entries; it is checked in a few milliseconds
Change = Callable[[list[NumberSetting]], list[NumberSetting]]
PartsChange = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class MessageSettings:
    """The settings in force; safe to use from several threads.

    ``good_copy`` is the file in which this machine keeps the last good document; ``carriers`` are
    the carrier names that an entry may have (see ``DocumentReader``); ``country`` (ISO 3166-1
    alpha-2) is assumed for numbers without a country code, ``time_zone`` for opening hours that
    name none. Until the source was read for the first time, every method that needs the settings
    raises ``StorageUnwell`` if the source does; later, the settings read last stay in force.
    """

    def __init__(
        self,
        source: Source,
        good_copy: Path,
        carriers: Collection[str],
        country: str,
        time_zone: str = "UTC",
    ) -> None:
        self._source = source
        self._good_copy = good_copy
        self._reader = DocumentReader(carriers, country, time_zone)
        self._check_lock = threading.Lock()
        self._next_check = 0.0  # monotonic clock, seconds
        self._version: object = NEVER
        self._known = NO_DOCUMENT  # the document that was checked last
        self._by_number: Mapping[str, NumberSetting] = {}
        self._by_extension: dict[str, tuple[NumberSetting, ...]] = {}
        self._by_email: dict[str, tuple[NumberSetting, ...]] = {}
        self._by_alias: dict[str, NumberSetting] = {}
        self._enabled: tuple[NumberSetting, ...] = ()
        self._rules = NO_RULES
        self._sections: Mapping[str, Any] = {}
        self._templates: tuple[Template, ...] = ()
        self._problem: str | None = None
        self._generation = ""

    @property
    def problem(self) -> str | None:
        """What is wrong with the current document, or ``None``."""
        try:
            self._check()
        except StorageUnwell as error:
            return f"{self._source.name} cannot be read yet. {error}"
        return self._problem

    @property
    def remedy(self) -> str:
        """How to repair a broken document, as a sentence."""
        return self._source.remedy

    @property
    def generation(self) -> str:
        """Hash of the document in force: another one after each change, equal on all machines."""
        self._check()
        return self._generation

    def look(self) -> None:
        """Check the source now. Raises ``StorageUnwell`` only until it was read once."""
        self._check(at_once=True)

    def refresh(self) -> None:
        """Check the source if it is time to. Raises ``StorageUnwell`` as ``look``."""
        self._check()

    def all(self) -> list[NumberSetting]:
        """All entries, in the order of the document."""
        self._check()
        return list(self._by_number.values())

    def find(self, query: str) -> list[NumberSetting]:
        """The entries with all words of a query, or with its number; see ``find_entries``."""
        try:
            number = self._reader.number(query)
        except SettingsError:
            number = ""
        return find_entries(self.all(), query, number)

    def for_number(self, number: str) -> NumberSetting | None:
        """The entry of a number (E.164), or ``None``."""
        self._check()
        return self._by_number.get(number)

    def for_extension(self, extension: str) -> tuple[NumberSetting, ...]:
        """The enabled entries of an extension; the first one is its default number.

        First its own in the order of the document, then those whose texts rules may deliver to it.
        """
        self._check()
        own = self._by_extension.get(extension, ())
        return self._with_rules(own, self._rules.numbers_by_extension.get(extension, frozenset()))

    def for_email(self, address: str) -> tuple[NumberSetting, ...]:
        """The enabled entries of an e-mail address, in any case, as ``for_extension``."""
        self._check()
        own = self._by_email.get(address.casefold(), ())
        by_rules = self._rules.numbers_by_email.get(address.casefold(), frozenset())
        return self._with_rules(own, by_rules)

    def _with_rules(
        self, own: tuple[NumberSetting, ...], by_rules: frozenset[str] | None
    ) -> tuple[NumberSetting, ...]:
        """Entries, and then those of more numbers (``None``: of all) that are in use."""
        if by_rules is not None and not by_rules:
            return own
        more = self._enabled if by_rules is None else map(self._by_number.get, sorted(by_rules))
        known = {entry.number for entry in own}
        added = (one for one in more if one and one.enabled and one.number not in known)
        return (*own, *added)

    def extension_has(self, extension: str, number: str) -> bool:
        """Whether an extension has an enabled number (E.164), by its entry or by rules."""
        entry = self.for_number(number)
        if entry is None or not entry.enabled:
            return False
        by_rules = self._rules.numbers_by_extension.get(extension, frozenset())
        return extension in entry.extensions or by_rules is None or number in by_rules

    def extensions_of(self, number: str) -> tuple[str, ...]:
        """The extensions that share an enabled number (E.164), by its entry or by rules."""
        entry = self.for_number(number)
        if entry is None or not entry.enabled:
            return ()
        return tuple(dict.fromkeys((*entry.extensions, *self._rules.extensions_of(number))))

    def emails_of(self, number: str) -> tuple[str, ...]:
        """The addresses that may get texts to an enabled number, by its entry or by rules."""
        entry = self.for_number(number)
        if entry is None or not entry.enabled:
            return ()
        return tuple(dict.fromkeys((*entry.emails, *self._rules.emails_of(number))))

    def reaches_somebody(self, number: str) -> bool:
        """Whether some text to a number (E.164) would be delivered, by its entry or by rules."""
        return bool(self.extensions_of(number) or self.emails_of(number))

    def for_alias(self, name: str) -> NumberSetting | None:
        """The entry of a number by another name that its carrier has for it, or ``None``."""
        self._check()
        return self._by_alias.get(name)

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        self._check()
        return self._rules

    @property
    def names(self) -> Mapping[str, str]:
        """The names of extensions; one without a name is not among them."""
        return self.rules.names

    @property
    def sections(self) -> Mapping[str, Any]:
        """The parts of version 2 of the document in force, as they are written."""
        self._check()
        return self._sections

    @property
    def rule_sections(self) -> dict[str, Any]:
        """The parts with rules and what they name, as they are written."""
        return {name: part for name, part in self.sections.items() if name in RULE_SECTIONS}

    @property
    def templates(self) -> tuple[Template, ...]:
        """The message templates in force."""
        self._check()
        return self._templates

    def entry(self, entry: dict[str, Any]) -> NumberSetting:
        """Check an entry and return it as it would be kept. Raises ``EntryRefused``."""
        return self._reader.entry(entry)

    def number(self, text: str) -> str:
        """A phone number in E.164. Raises ``SettingsError`` for a text that is none."""
        return self._reader.number(text)

    def put(self, entry: dict[str, Any], generation: str | None = None) -> NumberSetting:
        """Add the entry of a number, or replace it, and return it.

        ``generation`` is the one that the editor has seen. Raises ``EntryRefused`` with the
        problems of all fields, and what ``change`` raises.
        """
        new = self._reader.entry(entry)

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            if any(known.number == new.number for known in entries):
                return [new if known.number == new.number else known for known in entries]
            return [*entries, new]

        self.change(change, generation)
        return new

    def remove(self, number: str, generation: str | None = None) -> None:
        """Remove the entry of a number.

        Raises ``SettingsError`` if there is no such entry, and what ``change`` raises.
        """
        normalised = self._reader.number(number)

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            left = [entry for entry in entries if entry.number != normalised]
            if len(left) == len(entries):
                raise SettingsError(
                    f"{normalised} is not in Message Settings. Check how it is written.", "number"
                )
            return left

        self.change(change, generation)

    def change(self, change: Change, generation: str | None = None) -> None:
        """Replace all entries by ``change(entries)``, which may be called more than once.

        ``generation`` is the one that the editor has seen. Raises ``SettingsConflict`` if another
        editor has saved since then, ``SettingsError`` with the remedy if the document is broken.
        """
        self._replace(change, generation, None)

    def put_sections(self, sections: Mapping[str, Any], generation: str | None = None) -> None:
        """Replace the rules and what they name, all of them; numbers and templates stay.

        Raises ``RuleError`` with the path of the mistake, and what ``change`` raises.
        """
        for name in SECTIONS:
            if name in sections and name not in RULE_SECTIONS:
                raise RuleError(f"Write only {', '.join(RULE_SECTIONS)} here.", (name,))
        self._put_parts(RULE_SECTIONS, sections, generation)

    def put_templates(self, templates: list[Any], generation: str | None = None) -> None:
        """Replace the templates, all of them, as they stand in the document; all else stays.

        Raises ``RuleError`` with the path of the mistake, and what ``change`` raises.
        """
        self._put_parts(("templates",), {"templates": templates}, generation)

    def change_extensions(self, change: PartsChange, generation: str | None = None) -> None:
        """Replace what is known of extensions by ``change(extensions)``; all else stays.

        Raises ``RuleError`` with the path of the mistake, and what ``self.change`` raises.
        """

        def changed(known: Mapping[str, Any]) -> Mapping[str, Any]:
            return {**known, "extensions": dict(change(known.get("extensions", {})))}

        self._replace(lambda entries: entries, generation, changed)

    def _put_parts(
        self, names: Collection[str], parts: Mapping[str, Any], generation: str | None
    ) -> None:
        def change(known: Mapping[str, Any]) -> Mapping[str, Any]:
            return {name: part for name, part in known.items() if name not in names} | dict(parts)

        self._replace(lambda entries: entries, generation, change)

    def _replace(
        self, change: Change, generation: str | None, change_parts: PartsChange | None
    ) -> None:
        before = self._content()
        after = self._changed(before, change, generation, change_parts)

        def replacement(content: bytes | None) -> bytes:
            # Other writers wait meanwhile: nothing is checked, unless one of them was faster.
            if content == before:
                return after
            return self._changed(content, change, generation, change_parts)

        self._source.replace(replacement)
        self.look()

    def _changed(
        self,
        content: bytes | None,
        change: Change,
        generation: str | None,
        change_parts: PartsChange | None,
    ) -> bytes:
        """The document that ``change`` makes of ``content``, and ``change_parts`` of its sections.

        Raises what ``self.change`` raises.
        """
        try:
            document = self._checked(content)
        except SettingsError as error:
            raise self._must_be_repaired(error) from None
        if generation is not None and generation != _generation(content):
            raise SettingsConflict(
                "Somebody else has changed Message Settings meanwhile. Look at them again."
            )
        entries = change(list(document.by_number.values()))
        written, rules = document.sections, document.rules
        if change_parts is not None:
            written, rules = self._reader.sections(change_parts(written))
        self._reader.check_change(entries, rules)
        return encode_document(entries, written)

    def document(self) -> bytes:
        """The document as it is kept, also a broken one. Raises ``SettingsError``."""
        content = self._content()
        return encode_document([]) if content is None else content

    def checked(self, document: bytes) -> bytes:
        """Check a document and return it as it would be kept. Raises ``SettingsError``."""
        checked = self._reader.read(document, self._known)
        return encode_document(checked.by_number.values(), checked.sections)

    def put_document(self, document: bytes) -> None:
        """Replace the whole document, also a broken one.

        Raises ``SettingsError`` with line and column if the new document is not valid.
        """
        content = self.checked(document)
        self._source.replace(lambda _: content)
        self.look()

    def put_first(self, document: bytes) -> bool:
        """Put the first document; return false, without a change, if there is one already.

        Raises ``SettingsError`` with line and column if the document is not valid.
        """
        if self._source.read() is not None:
            return False
        content = self.checked(document)
        put: list[bool] = []

        def first(kept: bytes | None) -> bytes:
            put[:] = [kept is None]  # another machine may have put one since it was read
            return content if kept is None else kept

        self._source.replace(first)
        self.look()
        return put[0]

    def _content(self) -> bytes | None:
        """The document as it is kept, or ``None``. Raises ``SettingsError``."""
        try:
            return self._source.read()
        except OSError as error:
            raise self._must_be_repaired(error) from None

    def _check(self, *, at_once: bool = False) -> None:
        """Load a new version of the document, if it is time to check for one."""
        must = at_once or self._version is NEVER
        if not must and time.monotonic() < self._next_check:
            return
        if not self._check_lock.acquire(blocking=must):
            return  # another thread is checking
        is_held = True
        try:
            self._next_check = time.monotonic() + self._source.fresh_seconds
            is_held = not self._load(wait=must)
        except StorageUnwell:
            if self._version is NEVER:
                raise
        finally:
            if is_held:
                self._check_lock.release()

    def _load(self, *, wait: bool) -> bool:
        """Read the document, unless its version is the one that was read last.

        Returns whether a new thread checks it, and releases the lock; never with ``wait``.
        """
        version = self._source.version()
        if version == self._version:
            return False
        try:
            content = self._source.read()
        except OSError as error:
            self._keep_last_good(error)
            return False  # its owner or mode may be corrected, which does not change the version
        if wait or content is None or len(content) <= SMALL_BYTES:
            self._use(content, version)
            return False
        threading.Thread(target=self._use_and_release, args=(content, version), daemon=True).start()
        return True

    def _use_and_release(self, content: bytes, version: object) -> None:
        try:
            self._use(content, version)
        finally:
            self._check_lock.release()

    def _use(self, content: bytes | None, version: object) -> None:
        """Check a document and apply it; a broken one leaves the last good settings in force."""
        try:
            self._apply(self._checked(content))
        except SettingsError as error:
            self._keep_last_good(error)
        else:
            self._save_good_copy(content)
        self._version = version

    def _checked(self, content: bytes | None) -> Document:
        """The checked document. Raises ``SettingsError`` with the place of the mistake."""
        document = self._reader.read(content, self._known)
        self._known = document
        return document

    def _describe(self, error: Exception) -> str:
        if isinstance(error, PermissionError):
            user = user_name()
            return (
                f"{self._source.name} cannot be read by {user}. "
                f"Run: sudo chown {user}: {error.filename}"
            )
        return f"{self._source.name} cannot be used: {error}"

    def _must_be_repaired(self, error: Exception) -> SettingsError:
        return SettingsError(f"{self._source.remedy} {self._describe(error)}")

    def _apply(self, document: Document) -> None:
        by_extension: dict[str, list[NumberSetting]] = {}
        by_email: dict[str, list[NumberSetting]] = {}
        by_alias: dict[str, NumberSetting] = {}
        enabled: list[NumberSetting] = []
        for entry in in_slices(document.by_number.values(), CHEAP_SLICE):
            for alias in entry.aliases:
                by_alias[alias] = entry
            if entry.enabled:
                enabled.append(entry)
                for extension in entry.extensions:
                    by_extension.setdefault(extension, []).append(entry)
                for address in dict.fromkeys(map(str.casefold, entry.emails)):
                    by_email.setdefault(address, []).append(entry)
        generation = _generation(document.content)
        self._by_number, self._by_alias = document.by_number, by_alias
        self._enabled = tuple(enabled)
        self._rules, self._sections = document.rules, document.sections
        self._templates = read_templates(document.sections.get("templates", ()))
        self._by_extension = {name: tuple(entries) for name, entries in by_extension.items()}
        self._by_email = {address: tuple(found) for address, found in by_email.items()}
        self._generation = generation  # last: an editor who sees old entries must not have it
        self._problem = None

    def _keep_last_good(self, error: Exception) -> None:
        """Report a broken document. A process that starts on one uses the last good copy."""
        if self._version is NEVER:
            try:
                self._apply(self._reader.read(self._good_copy.read_bytes()))
            except (SettingsError, OSError):
                self._apply(NO_DOCUMENT)
        self._problem = self._describe(error)

    def _save_good_copy(self, content: bytes | None) -> None:
        try:
            if content is not None and not self._is_good_copy(content):
                replace_file(self._good_copy, content)
        except OSError:
            pass  # a full or read-only disk; the settings in force are in memory

    def _is_good_copy(self, content: bytes) -> bool:
        return self._good_copy.exists() and self._good_copy.read_bytes() == content


def _generation(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()[:16]

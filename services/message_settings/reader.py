"""``DocumentReader``: reads and checks documents and single entries."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError

from services.core.errors import EntryRefused, NumberError, SettingsError
from services.core.phone_numbers import e164, known_as
from services.message_settings.document import (
    NO_DOCUMENT,
    PLAIN,
    SECTIONS,
    WITH_RULES,
    Document,
    Layout,
    as_object,
    layout,
    used_sections,
)
from services.message_settings.fields import NumberSetting
from services.message_settings.json_lines import line_of_path
from services.message_settings.plain_entry import PlainEntries
from services.message_settings.rules import NO_RULES, Rules
from services.message_settings.rules_reader import RuleError, check_numbers, compiled
from services.message_settings.rules_schema import SectionsSchema
from services.message_settings.schema import (
    ENTRY,
    MessageSettingsSchema,
    first_problem,
    line_of,
    problems_by_path,
)
from services.message_settings.slices import in_slices, let_others_run
from services.message_settings.templates import read_templates

WHOLE = MessageSettingsSchema()
PARTS = SectionsSchema()
FRAME = ("version", "numbers")
NEWER = (
    "A newer Textbridge has written it: this one reads versions 1 and 2. Upgrade this machine, or "
    "put back the copy from before the upgrade: docs/install.md, “Back to the version before”."
)
NEEDS_VERSION = 'Write "version": 2 at the top to use it.'


class DocumentReader:
    """Reads documents and single entries, by the rules of this installation.

    ``carriers`` are the carrier names that an entry may have; a mapping has the names by which they
    are kept, so that an alias may be written. ``country`` (ISO 3166-1 alpha-2) is assumed for
    numbers without a country code, ``time_zone`` for opening hours that name none.
    """

    def __init__(self, carriers: Collection[str], country: str, time_zone: str = "UTC") -> None:
        known = carriers if isinstance(carriers, Mapping) else {name: name for name in carriers}
        self._carriers: Mapping[str, str] = dict(known)
        self._country = country
        self._time_zone = time_zone
        self._plain = PlainEntries(set(self._carriers.values()))

    def read(self, content: bytes | None, known: Document = NO_DOCUMENT) -> Document:
        """Check a document (JSON in UTF-8). Raises ``SettingsError`` with the place.

        Entries whose text is one of ``known``, which this reader has checked, are taken over.
        """
        if content is None:
            return NO_DOCUMENT
        if content == known.content:
            return known
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SettingsError(f"byte {error.start} is not UTF-8.") from None
        found = layout(text)
        document = self._changed(content, found, known) if found is not None else None
        return document or self._whole(content, text)

    def _changed(self, content: bytes, found: Layout, known: Document) -> Document | None:
        """A document in our layout; only what differs from ``known`` is checked.

        ``None`` if something is wrong: then it must be parsed as a whole.
        """
        by_text = self._changed_entries(found, known)
        if by_text is None:
            return None
        by_number = {entry.number: entry for entry in by_text.values()}
        sections, rules = known.sections, known.rules
        try:
            if found.frame != known.frame:
                raw = json.loads(found.frame or "{}", object_pairs_hook=_refuse_repeated_keys)
                sections, rules = self.sections(raw)
            check_numbers(rules, by_number)
            _check_aliases(by_number.values())
        except (ValueError, SettingsError, RecursionError):
            return None
        return Document(content, by_number, by_text, sections, rules, found.frame)

    def sections(self, document: Mapping[str, Any]) -> tuple[dict[str, Any], Rules]:
        """The parts of version 2 as they are written, and their rules. Raises ``RuleError``."""
        written = {name: value for name, value in document.items() if name not in FRAME}
        if not written:
            return {}, NO_RULES
        try:
            loaded = PARTS.load(written)
        except ValidationError as error:
            path, reason = _first_path(error.messages)
            raise RuleError(reason, path) from None
        read_templates(loaded["templates"])
        return used_sections(written), compiled(loaded, self.number, self._address, self._time_zone)

    def _changed_entries(self, found: Layout, known: Document) -> dict[str, NumberSetting] | None:
        """The entries by their texts, or ``None`` if one is wrong.

        Only those that are not in ``known`` are parsed.
        """
        texts = found.entries
        by_text: dict[str, NumberSetting] = {}
        parsed = 0
        for one in texts:
            entry = known.by_text.get(one)
            if entry is None:
                entry = self._parsed(one)
                parsed += 1
                let_others_run(parsed)
            if entry is None or (entry.aliases and found.version == PLAIN):
                return None
            by_text[one] = entry
        is_repeated = len({entry.number for entry in by_text.values()}) < len(texts)
        return None if is_repeated else by_text

    def _parsed(self, text: str) -> NumberSetting | None:
        """The entry of a text, or ``None`` if it is wrong."""
        try:
            raw = json.loads(as_object(text), object_pairs_hook=_refuse_repeated_keys)
            return self._plain.read(raw) or self._normalised(ENTRY.load(raw))
        except (ValueError, ValidationError, SettingsError, RecursionError):
            return None

    def _whole(self, content: bytes, text: str) -> Document:
        """A document of any layout. Raises ``SettingsError`` with the place."""
        try:
            document = json.loads(text, object_pairs_hook=_refuse_repeated_keys)
        except json.JSONDecodeError as error:
            raise SettingsError(
                f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})."
            ) from None
        except RecursionError:
            raise SettingsError("it is nested too deeply.") from None
        except ValueError:
            raise SettingsError("a number in it has thousands of digits.") from None
        raw = document.get("numbers") if isinstance(document, dict) else None
        if not isinstance(document, dict):
            raise SettingsError(first_problem(WHOLE.validate(document), text))
        _refuse_newer(document.get("version"))
        parts = {name: document[name] for name in SECTIONS if name in document}
        frame = {name: value for name, value in document.items() if name not in parts}
        wrong = WHOLE.validate(frame | {"numbers": []} if isinstance(raw, list) else frame)
        if wrong and (not isinstance(raw, list) or "version" in wrong):
            raise SettingsError(first_problem(wrong, text))
        loaded = self._loaded(raw or [], text)
        if wrong:
            raise SettingsError(first_problem(wrong, text))
        by_number = {entry.number: entry for entry in self._checked(loaded, text)}
        is_plain = document.get("version", PLAIN) == PLAIN
        try:
            if parts and is_plain:
                raise RuleError(NEEDS_VERSION, (next(iter(parts)),))
            if is_plain:
                _refuse_aliases(by_number.values())
            _check_aliases(by_number.values())
            sections, rules = self.sections(parts)
            check_numbers(rules, by_number)
        except RuleError as error:
            line = line_of_path(text, error.path)
            raise SettingsError(error.reason, f"line {line}: {error.field}") from None
        return Document(content, by_number, {}, sections, rules)

    def _loaded(self, raw: list[Any], text: str) -> list[tuple[NumberSetting, bool]]:
        """The entries by their schema, each with whether it needs no other check."""
        loaded: list[tuple[NumberSetting, bool]] = []
        for position, one in enumerate(in_slices(raw)):
            plain = self._plain.read(one)
            try:
                loaded.append((plain or ENTRY.load(one), plain is not None))
            except ValidationError:
                wrong = WHOLE.validate({"numbers": [one]})["numbers"][0]
                problems = {"numbers": {position: wrong}}
                raise SettingsError(first_problem(problems, text)) from None
        return loaded

    def _checked(self, loaded: list[tuple[NumberSetting, bool]], text: str) -> list[NumberSetting]:
        """Check what the schema cannot: valid numbers, known carriers, each number only once."""
        checked: dict[str, NumberSetting] = {}
        for position, (entry, is_plain) in enumerate(in_slices(loaded)):
            try:
                good = entry if is_plain else self._normalised(entry)
                if good.number in checked:
                    raise SettingsError(f"{good.number} stands there twice.", "number")
            except SettingsError as error:
                where = f"{line_of(text, entry.number)}numbers[{position}]"
                raise SettingsError(error.reason, f"{where}.{error.field}") from None
            checked[good.number] = good
        return list(checked.values())

    def check_change(self, entries: Collection[NumberSetting], rules: Rules) -> None:
        """Check what entries that are valid each by itself say together. Raises ``RuleError``."""
        _check_aliases(entries)
        check_numbers(rules, {entry.number for entry in entries} if rules is not NO_RULES else ())

    def entry(self, entry: dict[str, Any]) -> NumberSetting:
        """One entry. Raises ``EntryRefused`` with the problems of all fields."""
        plain = self._plain.read(entry)
        if plain is not None:
            return plain
        problems: dict[str, str] = {}
        try:
            loaded: NumberSetting = ENTRY.load(entry)
        except ValidationError as error:
            problems = problems_by_path(error.messages)
        for name, check in (("number", self.number), ("carrier", self.carrier)):
            if name not in problems:
                try:
                    check(entry[name])
                except SettingsError as error:
                    problems[name] = error.reason
        if problems:
            raise EntryRefused(problems)
        return self._normalised(loaded)

    def _normalised(self, entry: NumberSetting) -> NumberSetting:
        return replace(entry, number=self.number(entry.number), carrier=self.carrier(entry.carrier))

    def carrier(self, name: str) -> str:
        """The name by which a carrier is kept. Raises ``SettingsError`` for an unknown one."""
        if name not in self._carriers:
            names = ", ".join(dict.fromkeys(self._carriers.values()))
            problem = f"Unknown carrier “{name}”." if name else "No carrier is given."
            raise SettingsError(f"{problem} Use one of: {names}.", "carrier")
        return self._carriers[name]

    def number(self, text: str) -> str:
        """A phone number in E.164. Raises ``SettingsError`` for a text that is none."""
        try:
            return e164(text, self._country)
        except NumberError as error:
            raise SettingsError(str(error), "number") from None

    def _address(self, text: str) -> str:
        """An address of a peer as it is kept. Raises ``SettingsError`` for an incomplete number."""
        try:
            return known_as(text, self._country)
        except NumberError as error:
            raise SettingsError(str(error)) from None


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsError(f"the key “{twice}” stands twice in one entry.")
    return made


def _first_path(messages: Any) -> tuple[tuple[str | int, ...], str]:
    """The path and the sentence of the first error message of marshmallow."""
    path: list[str | int] = []
    while isinstance(messages, dict):
        step, messages = next(iter(messages.items()))
        is_of_mapping = len(path) == 2 and path[0] in ("hours", "extensions", "groups")
        if step != "_schema" and not (is_of_mapping and step in ("key", "value")):
            path.append(step)
    return tuple(path), " ".join(messages) if isinstance(messages, list) else str(messages)


def _refuse_aliases(entries: Collection[NumberSetting]) -> None:
    for position, entry in enumerate(entries):
        if entry.aliases:
            raise RuleError(NEEDS_VERSION, ("numbers", position, "aliases"))


def _check_aliases(entries: Collection[NumberSetting]) -> None:
    """Raise ``RuleError`` for an alias of two numbers, or one that is a number of ours itself."""
    known: dict[str, str] = {}
    numbers: set[str] | None = None
    for position, entry in enumerate(entries):
        for item, alias in enumerate(entry.aliases):
            numbers = numbers or {one.number for one in entries}
            if alias in numbers or known.setdefault(alias, entry.number) != entry.number:
                raise RuleError(
                    f"“{alias}” names two numbers. Leave it at one of them.",
                    ("numbers", position, "aliases", item),
                )


def _refuse_newer(version: Any) -> None:
    if isinstance(version, int) and version > WITH_RULES:
        raise SettingsError(NEWER, "version")

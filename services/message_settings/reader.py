"""``DocumentReader``: reads and checks documents and single entries."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError

from services.core.errors import EntryRefused, NumberError, SettingsError
from services.core.phone_numbers import e164
from services.message_settings.document import NO_DOCUMENT, Document, as_object, entry_texts
from services.message_settings.fields import NumberSetting
from services.message_settings.plain_entry import PlainEntries
from services.message_settings.schema import (
    ENTRY,
    MessageSettingsSchema,
    first_problem,
    line_of,
    problems_by_path,
)
from services.message_settings.slices import in_slices, let_others_run

WHOLE = MessageSettingsSchema()


class DocumentReader:
    """Reads documents and single entries, by the rules of this installation.

    ``carriers`` are the carrier names that an entry may have; a mapping has the names by which they
    are kept, so that an alias may be written. ``country`` (ISO 3166-1 alpha-2) is assumed for
    numbers without a country code.
    """

    def __init__(self, carriers: Collection[str], country: str) -> None:
        known = carriers if isinstance(carriers, Mapping) else {name: name for name in carriers}
        self._carriers: Mapping[str, str] = dict(known)
        self._country = country
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
        by_text = self._changed_entries(text, known)
        entries = self._all_entries(text) if by_text is None else list(by_text.values())
        return Document(content, {entry.number: entry for entry in entries}, by_text or {})

    def _changed_entries(self, text: str, known: Document) -> dict[str, NumberSetting] | None:
        """The entries by their texts; only those that are not in ``known`` are parsed.

        ``None`` if the document has another layout or is wrong: then it must be parsed as a whole.
        """
        texts = entry_texts(text)
        if texts is None:
            return None
        by_text: dict[str, NumberSetting] = {}
        parsed = 0
        for one in texts:
            entry = known.by_text.get(one)
            if entry is None:
                entry = self._parsed(one)
                parsed += 1
                let_others_run(parsed)
            if entry is None:
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

    def _all_entries(self, text: str) -> list[NumberSetting]:
        """The entries of a document of any layout. Raises ``SettingsError`` with the place."""
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
        frame = document | {"numbers": []} if isinstance(raw, list) else document
        wrong = WHOLE.validate(frame)
        if wrong and (not isinstance(raw, list) or "version" in wrong):
            raise SettingsError(first_problem(wrong, text))
        loaded = self._loaded(raw or [], text)
        if wrong:
            raise SettingsError(first_problem(wrong, text))
        return self._checked(loaded, text)

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
            raise SettingsError(f"“{name}” is no carrier. Write one of {names}.", "carrier")
        return self._carriers[name]

    def number(self, text: str) -> str:
        """A phone number in E.164. Raises ``SettingsError`` for a text that is none."""
        try:
            return e164(text, self._country)
        except NumberError as error:
            raise SettingsError(str(error), "number") from None


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsError(f"the key “{twice}” stands twice in one entry.")
    return made

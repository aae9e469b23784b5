"""Schema of the Message Settings document: reads, checks and writes the JSON.

``{"version": 1, "numbers": [{"number": …, "carrier": …, …}]}``; the fields of an entry are declared
in ``fields``.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from services.core.errors import EntryRefused, NumberError, SettingsError
from services.core.messages import clean
from services.core.phone_numbers import e164
from services.message_settings.fields import FIELDS, Field, FieldType, NumberSetting


class _Item(fields.String):
    """One item of a list: a text or, if the declaration allows it, an integer."""

    def __init__(self, declared: Field) -> None:
        super().__init__(validate=_validator(declared.check) if declared.check else None)
        self._allows_integers = declared.allows_integers

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if self._allows_integers and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super()._deserialize(value, *args, **kwargs)


def _validator(check: Callable[[str], object]) -> Callable[[str], None]:
    def validator(value: str) -> None:
        try:
            check(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    return validator


def _document_field(declared: Field) -> fields.Field[Any]:
    """The marshmallow field that checks a field of the document."""
    options: dict[str, Any] = {"metadata": {}}
    if declared.description:
        options["metadata"]["description"] = declared.description
    if declared.max_length is not None:
        options["validate"] = validate.Length(max=declared.max_length)
    match declared.kind:
        case FieldType.PHONE | FieldType.CARRIER:
            return fields.String(required=True, **options)
        case FieldType.LIST:
            return fields.List(_Item(declared), load_default=list, **options)
        case FieldType.TEXT:
            return fields.String(load_default="", **options)
        case FieldType.OPTIONAL:
            return fields.String(load_default=None, allow_none=True, **options)
        case FieldType.FLAG:
            return fields.Boolean(load_default=True, truthy={True}, falsy={False}, **options)


class _EntrySchema(Schema):
    """What the schema of an entry has beside its fields."""

    class Meta:
        """Refuse unknown keys: most likely they are misspelt."""

        unknown = RAISE

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> NumberSetting:
        lists = [field.name for field in FIELDS if field.kind is FieldType.LIST]
        return NumberSetting(**data | {name: tuple(dict.fromkeys(data[name])) for name in lists})


NumberSettingSchema = _EntrySchema.from_dict(
    {declared.name: _document_field(declared) for declared in FIELDS}, name="NumberSettingSchema"
)
ENTRY = NumberSettingSchema()


class MessageSettingsSchema(Schema):
    """The whole document."""

    class Meta:
        """Refuse unknown keys: most likely they are misspelt."""

        unknown = RAISE

    version = fields.Integer(
        load_default=1, validate=validate.Equal(1, error="This version knows only 1.")
    )
    numbers = fields.List(fields.Nested(NumberSettingSchema), required=True)


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

    def read(self, content: bytes) -> list[NumberSetting]:
        """The entries of a document (JSON in UTF-8). Raises ``SettingsError`` with the place."""
        try:
            text = content.decode("utf-8-sig")
            document = json.loads(text, object_pairs_hook=_refuse_repeated_keys)
        except UnicodeDecodeError as error:
            raise SettingsError(f"byte {error.start} is not UTF-8.") from None
        except json.JSONDecodeError as error:
            raise SettingsError(
                f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})."
            ) from None
        except RecursionError:
            raise SettingsError("it is nested too deeply.") from None
        try:
            entries = MessageSettingsSchema().load(document)["numbers"]
        except ValidationError as error:
            raise SettingsError(_first_problem(error.messages, text)) from None
        return self._checked(entries, text)

    def _checked(self, entries: Iterable[NumberSetting], text: str) -> list[NumberSetting]:
        """Check what the schema cannot: valid numbers, known carriers, each number only once."""
        checked: dict[str, NumberSetting] = {}
        for position, entry in enumerate(entries):
            try:
                good = self._normalised(entry)
                if good.number in checked:
                    raise SettingsError(f"{good.number} stands there twice.", "number")
            except SettingsError as error:
                where = f"{_line_of(text, entry.number)}numbers[{position}]"
                raise SettingsError(error.reason, f"{where}.{error.field}") from None
            checked[good.number] = good
        return list(checked.values())

    def entry(self, entry: dict[str, Any]) -> NumberSetting:
        """One entry. Raises ``EntryRefused`` with the problems of all fields."""
        problems: dict[str, str] = {}
        try:
            loaded: NumberSetting = ENTRY.load(entry)
        except ValidationError as error:
            problems = dict(_flatten(error.messages))
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


def encode_document(entries: Iterable[NumberSetting]) -> bytes:
    """The document (JSON in UTF-8) with these entries."""
    document = {"version": 1, "numbers": [asdict(entry) for entry in entries]}
    return clean(json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the key “{name}” stands twice in one entry.")
    return dict(pairs)


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The error messages of marshmallow as pairs of path and sentence."""
    if not isinstance(messages, dict):
        yield path, " ".join(messages) if isinstance(messages, list) else str(messages)
        return
    for key, inner in messages.items():
        step = "" if key == "_schema" else f"[{key}]" if isinstance(key, int) else f".{key}"
        yield from _flatten(inner, (path + step).lstrip("."))


def _first_problem(messages: Any, text: str) -> str:
    path, reason = next(_flatten(messages))
    found = re.match(r"numbers\[(\d+)\]", path)
    line = ""
    if found:
        numbers = re.findall(r'"number"\s*:\s*"([^"]*)"', text)
        position = int(found.group(1))
        line = _line_of(text, numbers[position]) if position < len(numbers) else ""
    return f"{line}{path}: {reason}"


def _line_of(text: str, number: str) -> str:
    """``line N: `` of the entry of a number in the document, or nothing if it is not found."""
    offset = text.find(json.dumps(number))
    return f"line {text.count(chr(10), 0, offset) + 1}: " if offset >= 0 else ""

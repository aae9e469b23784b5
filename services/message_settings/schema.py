"""Schema of the Message Settings document, and its error messages.

``{"version": 1, "numbers": [{"number": …, "carrier": …, …}]}``; the fields of an entry are declared
in ``fields``.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from services.core.request_schema import RequestSchema
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


class _EntrySchema(RequestSchema):
    """What the schema of an entry has beside its fields."""

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> NumberSetting:
        lists = [field.name for field in FIELDS if field.kind is FieldType.LIST]
        return NumberSetting(**data | {name: tuple(dict.fromkeys(data[name])) for name in lists})


NumberSettingSchema = _EntrySchema.from_dict(
    {declared.name: _document_field(declared) for declared in FIELDS}, name="NumberSettingSchema"
)
ENTRY = NumberSettingSchema()


class MessageSettingsSchema(RequestSchema):
    """The whole document of version 1; ``rules_schema`` has what version 2 adds to it."""

    version = fields.Integer(
        load_default=1, validate=validate.OneOf([1, 2], error="This version knows 1 and 2.")
    )
    numbers = fields.List(fields.Nested(NumberSettingSchema), required=True)


def problems_by_path(messages: Any) -> dict[str, str]:
    """The error messages of marshmallow: a sentence for each path, such as ``emails[0]``."""
    return dict(_flatten(messages))


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The error messages of marshmallow as pairs of path and sentence."""
    if not isinstance(messages, dict):
        yield path, " ".join(messages) if isinstance(messages, list) else str(messages)
        return
    for key, inner in messages.items():
        step = "" if key == "_schema" else f"[{key}]" if isinstance(key, int) else f".{key}"
        yield from _flatten(inner, (path + step).lstrip("."))


def first_problem(messages: Any, text: str) -> str:
    """The first error message of marshmallow about a document, with its line and its path."""
    path, reason = next(_flatten(messages))
    found = re.match(r"numbers\[(\d+)\]", path)
    line = ""
    if found:
        numbers = re.findall(r'"number"\s*:\s*"([^"]*)"', text)
        position = int(found.group(1))
        line = line_of(text, numbers[position]) if position < len(numbers) else ""
    return f"{line}{path}: {reason}"


def line_of(text: str, number: str) -> str:
    """``line N: `` of the entry of a number in the document, or nothing if it is not found."""
    offset = text.find(json.dumps(number))
    return f"line {text.count(chr(10), 0, offset) + 1}: " if offset >= 0 else ""

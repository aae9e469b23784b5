"""Checking plain entries fast: marshmallow and the phone number library take 40 µs for each.

An entry is plain if its number is an E.164 number of the North American Numbering Plan and all its
values have the type and the form in which they are kept. Every other entry, and every wrong one,
is left to the schema, which has the error messages.
"""

import re
from collections.abc import Callable, Collection
from typing import Any

from services.message_settings.fields import FIELDS, Field, FieldType, NumberSetting

PLAIN_NUMBER = re.compile(r"\+1[2-9][0-9]{9}", re.ASCII)
Check = Callable[[Any], bool]


class PlainEntries:
    """Checks entries; ``carriers`` are the carrier names that one may have."""

    def __init__(self, carriers: Collection[str]) -> None:
        self._carriers = frozenset(carriers)
        self._checks = {field.name: self._check(field) for field in FIELDS}

    def read(self, raw: object) -> NumberSetting | None:
        """The entry of a parsed JSON value, or ``None`` unless it is a plain and valid one."""
        if not isinstance(raw, dict) or "number" not in raw or "carrier" not in raw:
            return None
        values: dict[str, Any] = {}
        for name, value in raw.items():
            check = self._checks.get(name)
            if check is None or not check(value):
                return None
            is_list = isinstance(value, list | tuple)
            values[name] = tuple(dict.fromkeys(value)) if is_list else value
        return NumberSetting(**values)

    def _check(self, field: Field) -> Check:
        """The check of a field's value."""
        match field.kind:
            case FieldType.PHONE:
                return lambda value: isinstance(value, str) and _is_plain(value)
            case FieldType.CARRIER:
                return lambda value: isinstance(value, str) and value in self._carriers
            case FieldType.LIST:
                return _list_check(field)
            case FieldType.TEXT:
                return _text_check(field)
            case FieldType.OPTIONAL:
                is_text = _text_check(field)
                return lambda value: value is None or is_text(value)
            case FieldType.FLAG:
                return lambda value: isinstance(value, bool)


def _is_plain(number: str) -> bool:
    return PLAIN_NUMBER.fullmatch(number) is not None


def _text_check(field: Field) -> Check:
    most = field.max_length
    return lambda value: isinstance(value, str) and (most is None or len(value) <= most)


def _list_check(field: Field) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, list | tuple) and all(_is_item(field, item) for item in value)

    return check


def _is_item(field: Field, item: Any) -> bool:
    if not isinstance(item, str):
        return False
    try:
        return field.check is None or field.check(item) is not None
    except ValueError:
        return False

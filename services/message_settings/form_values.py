"""Form values: the fields of an entry as texts, as forms, commands and CSV cells have them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.core.errors import EntryRefused
from services.message_settings.fields import FIELDS, Field, FieldType, NumberSetting

SEPARATORS = re.compile(r"[\s,;]+")


def split_list(text: str) -> list[str]:
    """The items of a text that are separated by commas, semicolons or spaces.

    >>> split_list(" 201, 202;203 ")
    ['201', '202', '203']
    """
    return [item for item in SEPARATORS.split(text) if item]


def join_list(items: Iterable[str]) -> str:
    """A text with all items, as ``split_list`` reads it."""
    return ", ".join(items)


def from_text(field: Field, text: str) -> Any:
    """The value that the text of a field stands for, unchecked; a flag stays a text."""
    if field.kind is FieldType.LIST:
        return split_list(text)
    if field.kind is FieldType.OPTIONAL:
        return text.strip() or None
    return text


def as_texts(entry: NumberSetting) -> dict[str, str]:
    """All fields of an entry as texts; a flag is ``yes`` or ``no``, no value is an empty text."""
    return {field.name: as_text(field, entry) for field in FIELDS}


def as_text(field: Field, entry: NumberSetting) -> str:
    """One field of an entry as a text, see ``as_texts``."""
    value = getattr(entry, field.name)
    if field.kind is FieldType.LIST:
        return join_list(value)
    if field.kind is FieldType.FLAG:
        return "yes" if value else "no"
    return str(value or "")


def problems_by_field(error: EntryRefused, entry: Mapping[str, Any]) -> dict[str, str]:
    """The problems of a refused entry as one text for each field.

    A problem of one item of a list begins with the item. ``entry`` is what was refused.
    """
    found: dict[str, list[str]] = {}
    for path, reason in error.problems.items():
        name, _, position = path.partition("[")
        if position:
            item = entry[name][int(position.rstrip("]"))]
            found.setdefault(name, []).append(f"“{item}”: {reason}")
        else:
            found.setdefault(name, []).append(reason)
    return {name: " ".join(reasons) for name, reasons in found.items()}

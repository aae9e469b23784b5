"""``Document``: a document that was checked, and the layout in which documents are written.

In this layout the text of each entry can be cut out without parsing the whole document, so that of
a changed document only the entries with another text are parsed and checked.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from services.core.messages import clean
from services.message_settings.fields import FIELDS, NumberSetting
from services.message_settings.slices import CHEAP_SLICE, in_slices

# What json.dumps(indent=2) writes around the fields of the entries.
BEGIN = '{\n  "version": 1,\n  "numbers": [\n    {'
BETWEEN = "\n    },\n    {"
END = "\n    }\n  ]\n}"
NO_ENTRIES = '{\n  "version": 1,\n  "numbers": []\n}'
JSON_SPACE = " \t\r\n"

_values = attrgetter(*(field.name for field in FIELDS))
_leads = tuple(f'\n      "{field.name}": ' for field in FIELDS)
_json = json.JSONEncoder(ensure_ascii=False).encode  # fast for texts only
_CONSTANTS = {None: "null", True: "true", False: "false", (): "[]"}


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A checked document.

    ``content`` is what its source keeps, ``None`` before the first document. ``by_number`` has its
    entries in their order. ``by_text`` has them by the text that stands in the document; it is
    empty where the document has another layout.
    """

    content: bytes | None
    by_number: Mapping[str, NumberSetting]
    by_text: Mapping[str, NumberSetting]


NO_DOCUMENT = Document(None, {}, {})


def encode_document(entries: Iterable[NumberSetting]) -> bytes:
    """The document (JSON in UTF-8) with these entries."""
    texts = [_text(entry) for entry in in_slices(entries, CHEAP_SLICE)]
    text = BEGIN + BETWEEN.join(texts) + END if texts else NO_ENTRIES
    return f"{text}\n".encode()


def entry_texts(document: str) -> list[str] | None:
    """The texts of the entries of a document, or ``None`` for a document of another layout.

    If ``as_object`` of each is a JSON object, then the document is JSON and has just these entries:
    a line break never stands inside of a JSON string.
    """
    document = document.rstrip(JSON_SPACE)
    if not document.startswith(BEGIN) or not document.endswith(END, len(BEGIN)):
        return None
    return document[len(BEGIN) : -len(END)].split(BETWEEN)


def as_object(text: str) -> str:
    """The JSON object of an entry's text."""
    return f"{{{text}\n    }}"


@lru_cache(maxsize=32_768)  # an edit changes few entries
def _text(entry: NumberSetting) -> str:
    """The text of an entry between its braces."""
    fields = zip(_leads, _values(entry), strict=True)
    return clean(",".join([lead + _encoded(value) for lead, value in fields]))


def _encoded(value: Any) -> str:
    if isinstance(value, str):
        return _json(value)
    if isinstance(value, tuple) and value:
        return "[\n        " + ",\n        ".join(map(_json, value)) + "\n      ]"
    return _CONSTANTS[value]

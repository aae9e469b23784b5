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
from services.message_settings.rules import NO_RULES, Rules
from services.message_settings.slices import CHEAP_SLICE, in_slices

# What json.dumps(indent=2) writes around the fields of the entries.
BEGIN = '{\n  "version": %d,\n  "numbers": [\n    {'
BETWEEN = "\n    },\n    {"
END = "\n    }\n  ]"
NO_ENTRIES = '{\n  "version": %d,\n  "numbers": []'
CLOSE = "\n}"
JSON_SPACE = " \t\r\n"
PLAIN, WITH_RULES = 1, 2  # versions of the document; the older one while it says all
RULE_SECTIONS = ("hours", "extensions", "groups", "inbound", "outbound")
SECTIONS = (*RULE_SECTIONS, "templates")  # of version 2

_values = attrgetter(*(field.name for field in FIELDS))
_leads = tuple((f'\n      "{field.name}": ', field.is_optional) for field in FIELDS)
_json = json.JSONEncoder(ensure_ascii=False).encode  # fast for texts only
_CONSTANTS = {None: "null", True: "true", False: "false", (): "[]"}


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A checked document.

    ``content`` is what its source keeps, ``None`` before the first document. ``by_number`` has its
    entries in their order. ``by_text`` has them by the text that stands in the document; it is
    empty where the document has another layout. ``sections`` are the parts of version 2 as they
    are written, ``rules`` what they mean, and ``frame`` is the text from which they were read;
    ``None`` where the document has another layout.
    """

    content: bytes | None
    by_number: Mapping[str, NumberSetting]
    by_text: Mapping[str, NumberSetting]
    sections: Mapping[str, Any]
    rules: Rules
    frame: str | None = None


NO_DOCUMENT = Document(None, {}, {}, {}, NO_RULES, frame="")


@dataclass(frozen=True, slots=True)
class Layout:
    """A document in our layout: the texts of its entries, and the whole one without entries."""

    version: int
    entries: list[str]
    frame: str


def encode_document(
    entries: Iterable[NumberSetting], sections: Mapping[str, Any] | None = None
) -> bytes:
    """The document (JSON in UTF-8) with these entries, and with these parts of version 2.

    It has version 1 where that is enough.
    """
    texts, has_new = [], False
    for entry in in_slices(entries, CHEAP_SLICE):
        texts.append(_text(entry))
        has_new = has_new or bool(entry.aliases)
    used = used_sections(sections or {})
    version = WITH_RULES if used or has_new else PLAIN
    numbers = BEGIN % version + BETWEEN.join(texts) + END if texts else NO_ENTRIES % version
    more = "".join(f',\n  "{name}": {_indented(part)}' for name, part in used.items())
    return f"{numbers}{more}{CLOSE}\n".encode()


def entry_object(entry: NumberSetting) -> dict[str, Any]:
    """An entry as it stands in the document."""
    values = zip(FIELDS, _values(entry), strict=True)
    return {field.name: value for field, value in values if value or not field.is_optional}


def used_sections(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of version 2 that are not empty, in the order in which they are written."""
    return {name: sections[name] for name in SECTIONS if sections.get(name)}


def layout(document: str) -> Layout | None:
    """The parts of a document in our layout, or ``None`` for a document of another one.

    If ``as_object`` of each entry and ``frame`` are JSON objects, then the document is JSON and has
    just these entries: a line break never stands inside of a JSON string.
    """
    document = document.rstrip(JSON_SPACE)
    for version in (PLAIN, WITH_RULES):
        begin = BEGIN % version
        end = document.find(END, len(begin)) if document.startswith(begin) else -1
        rest = document[end + len(END) :]
        if end < 0 or (version == PLAIN and rest != CLOSE):
            continue
        frame = "" if version == PLAIN else NO_ENTRIES % version + rest
        return Layout(version, document[len(begin) : end].split(BETWEEN), frame)
    return None


def as_object(text: str) -> str:
    """The JSON object of an entry's text."""
    return f"{{{text}\n    }}"


@lru_cache(maxsize=32_768)  # an edit changes few entries
def _text(entry: NumberSetting) -> str:
    """The text of an entry between its braces."""
    fields = zip(_leads, _values(entry), strict=True)
    return clean(
        ",".join(
            [lead + _encoded(value) for (lead, optional), value in fields if value or not optional]
        )
    )


def _encoded(value: Any) -> str:
    if isinstance(value, str):
        return _json(value)
    if isinstance(value, tuple) and value:
        return "[\n        " + ",\n        ".join(map(_json, value)) + "\n      ]"
    return _CONSTANTS[value]


def _indented(part: Any) -> str:
    """A part of version 2 as it stands in the document, below its name."""
    return clean(json.dumps(part, indent=2, ensure_ascii=False)).replace("\n", "\n  ")

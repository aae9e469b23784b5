"""Search in Message Settings: entries by words, or by digits of their number."""

import re
from collections.abc import Iterable

from services.message_settings.fields import FIELDS, FieldType, NumberSetting
from services.message_settings.form_values import as_texts
from services.message_settings.slices import in_slices

LIKE_A_NUMBER = re.compile(r"[0-9 ()+./-]*[0-9][0-9 ()+./-]*", re.ASCII)
FLAGS = {field.name for field in FIELDS if field.kind is FieldType.FLAG}


def find_entries(
    entries: Iterable[NumberSetting], query: str, number: str = ""
) -> list[NumberSetting]:
    """The entries that contain all words of a query, or whose number contains its digits.

    ``number`` is the query in E.164, where it is a whole number. Case does not matter. An empty
    query finds all entries. Flags are not searched.
    """
    words = query.casefold().split()
    if not words:
        return list(entries)
    digits = re.sub("[^0-9]", "", query) if LIKE_A_NUMBER.fullmatch(query) else ""
    return [
        entry
        for entry in in_slices(entries)
        if entry.number == number or _matches(entry, words, digits)
    ]


def _matches(entry: NumberSetting, words: list[str], digits: str) -> bool:
    if digits and digits in entry.number:
        return True
    texts = (text for name, text in as_texts(entry).items() if name not in FLAGS)
    content = " ".join(texts).casefold()
    return all(word in content for word in words)

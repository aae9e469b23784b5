"""Search by words or by digits of a number, and the search in Message Settings by it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.message_settings.fields import FIELDS, FieldType, NumberSetting
from services.message_settings.form_values import as_texts
from services.message_settings.slices import in_slices

_LIKE_A_NUMBER = re.compile(r"[0-9 ()+./-]*[0-9][0-9 ()+./-]*", re.ASCII)
FLAGS = {field.name for field in FIELDS if field.kind is FieldType.FLAG}


@dataclass(frozen=True, slots=True)
class Query:
    """What a person looks for: words, and the digits where all of it looks like a number."""

    words: tuple[str, ...]
    digits: str

    @classmethod
    def of(cls, typed: str) -> "Query":
        """The query that a person has typed; case does not matter."""
        digits = re.sub("[^0-9]", "", typed) if _LIKE_A_NUMBER.fullmatch(typed) else ""
        return cls(tuple(typed.casefold().split()), digits)

    def has_digits_of(self, *numbers: str) -> bool:
        """Whether one of some numbers contains its digits."""
        return bool(self.digits) and any(self.digits in number for number in numbers)

    def is_within(self, *texts: str) -> bool:
        """Whether some texts together contain all of its words."""
        content = " ".join(texts).casefold()
        return all(word in content for word in self.words)


def find_entries(
    entries: Iterable[NumberSetting], typed: str, number: str = ""
) -> list[NumberSetting]:
    """The entries that contain all words of a query, or whose number contains its digits.

    ``number`` is the query in E.164, where it is a whole number. Case does not matter. An empty
    query finds all entries. Flags are not searched.
    """
    query = Query.of(typed)
    if not query.words:
        return list(entries)
    return [
        entry for entry in in_slices(entries) if entry.number == number or _matches(entry, query)
    ]


def _matches(entry: NumberSetting, query: Query) -> bool:
    if query.has_digits_of(entry.number):
        return True
    return query.is_within(*(text for name, text in as_texts(entry).items() if name not in FLAGS))

"""Recipients of a bulk send: read from a CSV file, and the fields of the text filled in for each.

The first line of the file names the columns: ``number``, and one for each field of the text, such
as ``name`` for ``{name}``. Upper and lower case are the same.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.core.csv_cells import unescape_formula
from services.core.errors import RequestRefused, SettingsError
from services.core.messages import clean
from services.message_settings.csv_format import csv_rows, decode_csv

MOST_RECIPIENTS = 500
MOST_NAME = 100  # characters of the name of a bulk send, or of a field
MOST_TEXT = 10_000  # characters of the text
MOST_CSV = 200_000  # bytes of the list
NUMBER_COLUMN = "number"
_FIELD = re.compile(r"\{([^{}\n]*)\}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A line of the list: the number as it is written, and the values of the text's fields."""

    line: int
    number: str
    fields: Mapping[str, str]


def recipient(line: int, number: str, fields: Mapping[str, str]) -> Recipient:
    """A recipient; the names of the fields are made to compare equal in any case."""
    return Recipient(line, number, {_named(name): value for name, value in fields.items()})


def file_text(content: bytes) -> str:
    """The text of a CSV file that a spreadsheet has saved. Raises ``RequestRefused``."""
    try:
        return decode_csv(content)
    except SettingsError as error:
        raise _unreadable(error.reason) from None


def read_recipients(csv: str) -> tuple[Recipient, ...]:
    """The recipients of a CSV file. Raises ``RequestRefused`` with the line and the remedy."""
    try:
        rows = csv_rows(clean(csv.removeprefix("\ufeff")))
        _, titles = next(rows, (1, []))
        columns = _columns(titles)
        found = [_of_cells(line, columns, cells) for line, cells in rows]
    except SettingsError as error:
        raise _unreadable(error.reason) from None
    return tuple(found)


def check_list(text: str, recipients: Iterable[Recipient]) -> None:
    """Raise ``RequestRefused`` for an empty or too long list, and for an unknown field."""
    known = list(recipients)
    if not known:
        raise RequestRefused("no_recipients", "Name at least one recipient.", field="recipients")
    if len(known) > MOST_RECIPIENTS:
        raise RequestRefused(
            "too_many_recipients",
            f"A bulk send takes at most {MOST_RECIPIENTS} recipients, and these are {len(known)}. "
            "It is not for mass mail.",
            field="recipients",
        )
    columns = {name for one in known for name in one.fields}
    for name in _FIELD.findall(text):
        if _named(name) not in columns:
            has = ", ".join(f"{{{column}}}" for column in sorted(columns))
            raise RequestRefused(
                "unknown_field",
                f"The text has {{{name}}}, and the list has no such field. "
                + (f"It has {has}." if has else "It has numbers only."),
                field="text",
            )


def filled(text: str, one: Recipient) -> str:
    """The text for one recipient. Raises ``RequestRefused`` where a field is empty."""

    def value(found: re.Match[str]) -> str:
        given = one.fields.get(_named(found[1]), "").strip()
        if not given:
            raise RequestRefused(
                "field_empty", f"{{{found[1]}}} is empty on this line.", field="to"
            )
        return given

    return _FIELD.sub(value, text)


def _columns(titles: list[str]) -> list[str]:
    columns = [_named(unescape_formula(title)) for title in titles]
    if NUMBER_COLUMN not in columns:
        raise _unreadable(
            "No column is “number”. The first line of the file must name the columns, such as "
            "number,name."
        )
    twice = next((one for one in columns if one and columns.count(one) > 1), None)
    if twice is not None:
        raise _unreadable(f"Two columns are “{twice}”. Remove one of them.")
    return columns


def _of_cells(line: int, columns: list[str], cells: list[str]) -> Recipient:
    if len(cells) != len(columns):
        raise _unreadable(
            f"line {line}: it has {len(cells)} cells and the first line {len(columns)}. Put a text "
            "that has the dividing sign in it into quotation marks."
        )
    texts = dict(zip(columns, map(unescape_formula, cells), strict=True))
    number = texts.pop(NUMBER_COLUMN)
    return Recipient(line, number, {name: value for name, value in texts.items() if name})


def _named(name: str) -> str:
    return name.strip().casefold()


def _unreadable(reason: str) -> RequestRefused:
    return RequestRefused("csv_unreadable", reason, field="csv")

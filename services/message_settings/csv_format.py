"""CSV format of Message Settings (RFC 4180): writes and reads files for spreadsheets."""

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO

from services.core.csv_cells import escape_formula, unescape_formula
from services.core.errors import SettingsError
from services.core.messages import clean
from services.message_settings.fields import FIELDS, NumberSetting
from services.message_settings.form_values import as_texts
from services.message_settings.slices import in_slices

MOST_BYTES = 2_000_000
MOST_ROWS = 10_000
COLUMNS = {field.name: field.column for field in FIELDS}


def _letters(title: str) -> str:
    return re.sub("[^a-z]", "", title.casefold())


TITLES = {
    title: field.name
    for field in FIELDS
    for title in (_letters(field.column), *field.other_columns)
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a CSV file: the line where it begins, and the texts of its known columns."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """The rows of a CSV file, and the titles of the columns that are not known."""

    rows: tuple[Row, ...]
    unknown_columns: tuple[str, ...]


def write_csv(entries: Iterable[NumberSetting]) -> bytes:
    """A CSV file of these entries, in UTF-8 with the byte order mark that spreadsheets need."""
    content = StringIO(newline="")
    writer = csv.writer(content, lineterminator="\r\n")
    writer.writerow(COLUMNS.values())
    for entry in in_slices(entries):
        texts = as_texts(entry)
        writer.writerow([escape_formula(texts[name]) for name in COLUMNS])
    return content.getvalue().encode("utf-8-sig")


def read_csv(content: bytes) -> CsvFile:
    """Read a CSV file. Raises ``SettingsError`` with the line if it cannot be read.

    The encoding is UTF-8, or UTF-16 with a byte order mark. The delimiter is the most frequent one
    of comma, semicolon and tab in the first line. Empty lines are skipped.
    """
    if len(content) > MOST_BYTES:
        raise SettingsError(
            f"The file is larger than {MOST_BYTES // 1_000_000} MB. Import it in parts."
        )
    rows_read = csv_rows(clean(decode_csv(content)))
    _, titles = next(rows_read, (1, []))
    names = _names(titles)
    rows = []
    for line, cells in in_slices(rows_read):
        if len(cells) != len(titles):
            raise SettingsError(
                f"line {line}: it has {len(cells)} cells and the first line {len(titles)}. Put "
                "a text that has the dividing sign in it into quotation marks."
            )
        known = zip(names, cells, strict=True)
        rows.append(Row(line, {name: unescape_formula(cell) for name, cell in known if name}))
        if len(rows) > MOST_ROWS:
            raise SettingsError(
                f"The file has more than {MOST_ROWS:,} numbers. Import it in parts."
            )
    unknown = (title for title, name in zip(titles, names, strict=True) if not name)
    return CsvFile(tuple(rows), tuple(unknown))


def decode_csv(content: bytes) -> str:
    """The text of a file that a spreadsheet has saved. Raises ``SettingsError``."""
    is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(
            "The file is not in UTF-8. Save it again as “CSV UTF-8”, or with UTF-8 as its "
            "character set."
        ) from None


def csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its first line.

    Raises ``SettingsError``.
    """
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise SettingsError(f"line {line}: {error}.") from None


def _names(titles: list[str]) -> list[str]:
    """The field name of each column; an empty text for an unknown title."""
    names = list(map(field_of, titles))
    for name, column in COLUMNS.items():
        if names.count(name) > 1:
            raise SettingsError(f"Two columns are the “{column}”. Remove one of them.")
    if "number" not in names:
        raise SettingsError(
            "No column is the “Phone Number”. The first line of the file must name the columns: "
            f"{', '.join(COLUMNS.values())}. Only the first is needed."
        )
    return names


def field_of(title: str) -> str:
    """The name of the field in a column with this title; empty for an unknown title.

    >>> field_of("Assigned Extension(s)"), field_of("DID"), field_of("Colour")
    ('extensions', 'number', '')
    """
    letters = _letters(title)
    spellings = (letters, letters.removesuffix("s"), letters.removesuffix("es"))
    return next((TITLES[spelling] for spelling in spellings if spelling in TITLES), "")

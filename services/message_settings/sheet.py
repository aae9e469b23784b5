"""Message Settings as a sheet: CSV (RFC 4180) that spreadsheets read and write.

Spreadsheets take a cell for a formula that begins with certain signs, and so would run what
somebody wrote into a description; before such a cell stands ``'``, which is taken away on reading.
"""

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO

from services.core.errors import SettingsError
from services.core.messages import clean
from services.message_settings.document import NumberSetting
from services.message_settings.typed import texts

MOST_BYTES = 2_000_000
MOST_ROWS = 10_000
COLUMNS = {
    "number": "Phone Number",
    "carrier": "Carrier",
    "extensions": "Assigned Extension",
    "emails": "Assigned Email",
    "sender_id": "Sender ID",
    "description": "Description",
    "enabled": "Enabled",
}
# Titles as others write them, without what is no letter; FS PBX's database has the odd ones.
TITLES = {
    "number": ("phonenumber", "number", "phone", "telephone", "destination", "did", "tn"),
    "carrier": ("carrier", "provider"),
    "extensions": ("assignedextension", "extension", "ext", "chatplandetaildata"),
    "emails": ("assignedemail", "email", "emailaddress", "assignedemailaddress", "mail"),
    "sender_id": ("senderid", "sender"),
    "description": ("description", "label", "name"),
    "enabled": ("enabled", "active"),
}
FIELDS = {title: field for field, titles in TITLES.items() for title in titles}
FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")
GUARDED = re.compile(r"'+(\s*[=+\-@＝＋－＠]|[\t\r\n])")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a sheet: where it begins, and the cells of the columns that are known."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands in a sheet, and the titles of the columns that nobody knows."""

    rows: tuple[Row, ...]
    strange: tuple[str, ...]


def written(entries: Iterable[NumberSetting]) -> bytes:
    """The sheet of these entries, in UTF-8 with the mark by which spreadsheets know it."""
    paper = StringIO(newline="")
    writer = csv.writer(paper, lineterminator="\r\n")
    writer.writerow(COLUMNS.values())
    for entry in entries:
        cells = texts(entry)
        writer.writerow([_guarded(cells[field]) for field in COLUMNS])
    return paper.getvalue().encode("utf-8-sig")


def read(content: bytes) -> Sheet:
    """What stands in a sheet. Raises ``SettingsError`` with the line for one that cannot be read.

    It may be in UTF-8 or, with its mark, in UTF-16; its cells are divided by whatever the first
    line has most of: commas, semicolons or tabs. Lines without anything in them do not count.
    """
    if len(content) > MOST_BYTES:
        raise SettingsError(
            f"The file is larger than {MOST_BYTES // 1_000_000} MB. Import it in parts."
        )
    text = clean(decoded(content))
    lines = _lines(text)
    _, titles = next(lines, (1, []))
    fields = _fields(titles)
    rows = []
    for line, cells in lines:
        if len(cells) != len(titles):
            raise SettingsError(
                f"line {line}: it has {len(cells)} cells and the first line {len(titles)}. Put "
                "a text that has the dividing sign in it into quotation marks."
            )
        known = zip(fields, cells, strict=True)
        rows.append(Row(line, {field: _plain(cell) for field, cell in known if field}))
        if len(rows) > MOST_ROWS:
            raise SettingsError(
                f"The file has more than {MOST_ROWS:,} numbers. Import it in parts."
            )
    strange = [title for title, field in zip(titles, fields, strict=True) if not field]
    return Sheet(tuple(rows), tuple(strange))


def decoded(content: bytes) -> str:
    """The text of a file that a spreadsheet has saved. Raises ``SettingsError``."""
    wide = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(
            "The file is not in UTF-8. Save it again as “CSV UTF-8”, or with UTF-8 as its "
            "character set."
        ) from None


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that have something in them, with the number of the first line of each."""
    first = text.lstrip("\r\n").partition("\n")[0]
    divider = max(",;\t", key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=divider, strict=True)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise SettingsError(f"line {begins}: {error}.") from None


def _fields(titles: list[str]) -> list[str]:
    """The field of each column, in which nothing stands for a title that nobody knows."""
    fields = [FIELDS.get(_simple(title), "") for title in titles]
    for field, title in COLUMNS.items():
        if fields.count(field) > 1:
            raise SettingsError(f"Two columns are the “{title}”. Remove one of them.")
    if "number" not in fields:
        raise SettingsError(
            "No column is the “Phone Number”. The first line of the file must name the columns: "
            f"{', '.join(COLUMNS.values())}. Only the first is needed."
        )
    return fields


def _simple(title: str) -> str:
    """A title without what does not matter: “Assigned Extension(s)” is “assignedextension”."""
    letters = re.sub("[^a-z]", "", title.casefold())
    spellings = (letters, letters.removesuffix("s"), letters.removesuffix("es"))
    return next((spelling for spelling in spellings if spelling in FIELDS), letters)


def _guarded(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def _plain(cell: str) -> str:
    return cell[1:] if GUARDED.match(cell) else cell

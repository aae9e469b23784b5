"""Files of contacts: what the cards of a vCard file and the rows of a CSV file say; exports."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO

from services.core.csv_cells import safe_cell, unescape_formula
from services.core.errors import RequestRefused, SettingsError
from services.core.messages import clean
from services.core.vcard import Version, is_vcard, read_cards, write_card
from services.message_settings.csv_format import csv_rows, decode_csv
from services.message_settings.slices import in_slices
from services.store.contacts import Contact

MOST_BYTES = 5_000_000
MOST_LINES = 20_000  # numbers and names of one file
MOST_NAME = 100  # characters
MOST_NOTE = 1_000
COLUMNS = ("number", "name", "note")
# Titles in the letters a to z, also those of Google Contacts and Outlook.
NUMBER_TITLES = frozenset(
    (
        *("number", "phone", "phonenumber", "telephone", "mobile", "cell", "cellphone"),
        *("mobilephone", "businessphone", "homephone", "workphone", "primaryphone", "phonevalue"),
    )
)
NAME_TITLES = frozenset(("name", "fullname", "displayname", "contact", "contactname"))
GIVEN_TITLES = ("firstname", "givenname")
MIDDLE_TITLES = ("middlename", "additionalname")
FAMILY_TITLES = ("lastname", "familyname", "surname")
COMPANY_TITLES = ("company", "organization", "organizationname")
NOTE_TITLES = frozenset(("note", "notes", "comment", "comments"))
_SEVERAL = " ::: "  # between several numbers in one cell of Google Contacts


@dataclass(frozen=True, slots=True)
class Entry:
    """A number of a file with its name and note, as written; ``line`` counts from 1.

    ``problem`` is why the line cannot be read, as a sentence.
    """

    line: int
    number: str
    name: str
    note: str = ""
    problem: str = ""


def read_contacts(content: bytes) -> list[Entry]:
    """What a file (vCard or CSV) says. Raises ``RequestRefused`` if it is neither, or too large.

    A card with several numbers is several entries; one without a number has an empty one.
    """
    if len(content) > MOST_BYTES:
        raise _refused(
            f"The file is larger than {MOST_BYTES // 1_000_000} MB. Export without photographs, or "
            "import it in parts."
        )
    found: list[Entry] = []
    try:
        entries = _of_cards(content) if is_vcard(content) else _of_rows(content)
        for entry in in_slices(entries):
            found.append(entry)
            if len(found) > MOST_LINES:
                raise _refused(
                    f"The file has more than {MOST_LINES:,} numbers. Import it in parts."
                )
    except SettingsError as error:
        raise _refused(error.reason) from None
    if not found:
        raise _refused("There is no contact in the file.")
    return found


def write_csv(contacts: Iterable[Contact]) -> bytes:
    """Contacts as CSV (RFC 4180), in UTF-8 with the byte order mark that spreadsheets need."""
    content = StringIO(newline="")
    writer = csv.writer(content, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in in_slices(contacts):
        writer.writerow([safe_cell(cell) for cell in (one.number, one.name, one.note)])
    return content.getvalue().encode("utf-8-sig")


def write_vcards(contacts: Iterable[Contact], version: Version = "3.0") -> bytes:
    """Contacts as vCards in UTF-8, one for each number."""
    cards = (write_card(one.number, one.name, one.note, version) for one in in_slices(contacts))
    return "".join(cards).encode()


def _of_cards(content: bytes) -> Iterator[Entry]:
    for card in read_cards(content):
        for number in card.numbers or [""]:
            yield Entry(card.line, clean(number), clean(card.name), clean(card.note))


def _of_rows(content: bytes) -> Iterator[Entry]:
    rows = csv_rows(clean(decode_csv(content)))
    _, titles = next(rows, (1, []))
    names = [re.sub("[^a-z]", "", title.casefold()) for title in titles]
    known = set(names)
    has_name = known & {*NAME_TITLES, *GIVEN_TITLES, *FAMILY_TITLES, *COMPANY_TITLES}
    if not known & NUMBER_TITLES or not has_name:
        raise _refused(
            "The first line must name the columns, with “number” and “name”; or choose a "
            "vCard file."
        )
    for line, cells in rows:
        if len(cells) > len(names):
            problem = (
                f"It has {len(cells)} cells and the first line {len(names)}. Put a text that has "
                "the dividing sign in it into quotation marks."
            )
            yield Entry(line, "", "", problem=problem)
            continue
        row = [
            (name, unescape_formula(cell).strip()) for name, cell in zip(names, cells, strict=False)
        ]
        written = {
            number.strip()
            for name, cell in row
            if name in NUMBER_TITLES
            for number in cell.split(_SEVERAL)
        }
        for number in sorted(written - {""}) or [""]:
            yield Entry(line, number, _name_of(row), _first(row, NOTE_TITLES))


def _name_of(row: Iterable[tuple[str, str]]) -> str:
    cells = list(row)
    parts = (_first(cells, titles) for titles in (GIVEN_TITLES, MIDDLE_TITLES, FAMILY_TITLES))
    put_together = " ".join(part for part in parts if part)
    return _first(cells, NAME_TITLES) or put_together or _first(cells, COMPANY_TITLES)


def _first(row: Iterable[tuple[str, str]], titles: Iterable[str]) -> str:
    """The first cell in a column with one of these titles that is not empty."""
    wanted = set(titles)
    return next((cell for name, cell in row if name in wanted and cell), "")


def _refused(reason: str) -> RequestRefused:
    return RequestRefused("invalid", reason, field="file")

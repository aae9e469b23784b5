"""CSV files with numbers, contacts and messages, made by a database's program or by a person.

Unlike the import of Message Settings, nothing here refuses a whole file for one bad line: bytes
that are not UTF-8 become U+FFFD, missing cells are empty, and more cells than titles are ignored.
"""

import csv
import hashlib
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from io import StringIO
from math import inf, isfinite
from pathlib import Path

from services.core.csv_cells import unescape_formula
from services.core.local_time import LocalTime
from services.core.messages import clean
from services.message_settings.csv_format import COLUMNS, field_of
from services.operations.contact_files import (
    COMPANY_TITLES,
    FAMILY_TITLES,
    GIVEN_TITLES,
    NAME_TITLES,
    NOTE_TITLES,
    NUMBER_TITLES,
    Entry,
)
from services.operations.migration.source import (
    FileRow,
    NumberRow,
    SourceError,
    TextRow,
)

END = "\x02end"  # a last line of ours: it is part of a cell where a quotation mark is not closed
LONGEST_CELL = 10_000_000  # characters; the limit of the module csv is 131,072
EXTENSION_NAME = "extension_name"
CONTACT_TITLES = {
    "number": (*NUMBER_TITLES, "peer"),
    "name": tuple(NAME_TITLES),
    "first": (*GIVEN_TITLES, "first", "contactnamegiven"),
    "last": (*FAMILY_TITLES, "last", "contactnamefamily"),
    "company": (*COMPANY_TITLES, "contactorganization"),
    "note": tuple(NOTE_TITLES),
}
TEXT_TITLES = {
    "id": ("id", "key", "uuid", "messageuuid", "messageid"),
    "direction": ("direction",),
    "number": ("number", "ours", "ournumber", "did", "localnumber"),
    "peer": ("peer", "theirs", "remotenumber", "contact"),
    "from": ("from", "fromnumber", "source", "sender"),
    "to": ("to", "tonumber", "destination", "recipient"),
    "text": ("text", "message", "body", "content"),
    "at": ("at", "time", "date", "datetime", "timestamp", "createdat", "startstamp", "sentat"),
    "status": ("status", "state"),
    "reason": ("reason", "error"),
    "carrier": ("carrier", "provider"),
    "carrier_id": ("carrierid", "referenceid", "providerid", "emid"),
    "extension": ("extension", "sentby", "user"),
    "media": ("media", "files", "attachments", "mediaurl"),
}
OUTBOUND = frozenset({"out", "outbound", "outgoing", "sent", "send", "mt"})
INBOUND = frozenset({"in", "inbound", "incoming", "received", "receive", "mo"})
Titles = Mapping[str, tuple[str, ...]]
Field = Callable[[str], str]
"""The name of the field in a column by its title; empty for an unknown title."""


class CsvFiles:
    """A system from which there are CSV files only; each file may be missing.

    ``name`` is that of the system, so that its messages have the same ids however they are read.
    """

    def __init__(
        self,
        local_time: LocalTime,
        *,
        numbers: Path | None = None,
        contacts: Path | None = None,
        texts: Path | None = None,
        name: str = "csv",
        title: str = "the CSV files",
    ) -> None:
        self.name = name
        self.title = title
        self._local_time = local_time
        self._files = {"numbers": numbers, "contacts": contacts, "texts": texts}
        self._unknown: list[str] = []

    def pause(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    def numbers(self) -> Sequence[NumberRow]:
        """The numbers; the columns are those of Message Settings, in their usual spellings."""
        rows = []
        for line, cells in self._numbers:
            kept = {name: cell for name, cell in cells.items() if name in COLUMNS}
            rows.append(NumberRow(f"line {line}", kept))
        return rows

    def extension_names(self) -> Mapping[str, str]:
        """The column “Extension Name” of the numbers with one extension."""
        named = ((cells.get("extensions", ""), cells) for _, cells in self._numbers)
        return {
            extension.strip(): cells[EXTENSION_NAME].strip()
            for extension, cells in named
            if cells.get(EXTENSION_NAME, "").strip()
        }

    def contacts(self) -> Sequence[Entry]:
        """The contacts: a number and a name, or a first and a last one, or a company; notes."""
        rows = []
        for line, cells in self._read("contacts", _titles(CONTACT_TITLES), needed=("number",)):
            if not cells.keys() & {"name", "first", "last", "company"}:
                path = self._files["contacts"]
                raise SourceError(f"{path}: no column is the name. {_columns('contacts')}")
            whole = f"{cells.get('first', '')} {cells.get('last', '')}".strip()
            name = cells.get("name", "").strip() or whole or cells.get("company", "")
            rows.append(Entry(line, cells["number"], name, cells.get("note", "")))
        return rows

    def count_texts(self) -> int:
        """How many messages there are."""
        return len(self._texts)

    def texts(self) -> Iterator[TextRow]:
        """The messages, sorted by their time."""
        yield from self._texts

    def remarks(self) -> Sequence[str]:
        """The columns of which nothing is read."""
        self.numbers(), self.contacts(), self.count_texts()
        unknown = ", ".join(dict.fromkeys(self._unknown))
        return [f"Nothing is read from these columns: {unknown}."] if unknown else []

    @cached_property
    def _numbers(self) -> list[tuple[int, dict[str, str]]]:
        def field(title: str) -> str:
            letters = re.sub("[^a-z]", "", title.casefold())
            return EXTENSION_NAME if letters in ("extensionname", "username") else field_of(title)

        return self._read("numbers", field, needed=("number",))

    @cached_property
    def _texts(self) -> list[TextRow]:
        seen: Counter[str] = Counter()
        known: dict[str, str] = {}
        rows = []
        for _, cells in self._read("texts", _titles(TEXT_TITLES), needed=("direction", "text")):
            row = self._text_row(cells)
            said = (row.direction, row.number, row.peer, row.text, row.at)
            digest = hashlib.sha256(repr(said).encode("utf-8", "replace")).hexdigest()[:32]
            if not row.key:  # the same text at the same moment may stand there twice
                seen[digest] += 1
                row = replace(row, key=f"{digest}:{seen[digest]}")
            elif known.setdefault(row.key, digest) != digest:  # another message with its id
                row = replace(row, key=f"{row.key}:{digest}")
            rows.append(row)
        return sorted(rows, key=lambda row: -inf if row.at is None else row.at)

    def _text_row(self, cells: Mapping[str, str]) -> TextRow:
        is_sent = is_outbound(cells["direction"])
        ours, theirs = ("from", "to") if is_sent else ("to", "from")
        media = cells.get("media", "").split()
        return TextRow(
            key=cells.get("id", "").strip(),
            direction=cells["direction"],
            number=cells.get("number", "").strip() or cells.get(ours, ""),
            peer=cells.get("peer", "").strip() or cells.get(theirs, ""),
            text=cells["text"],
            at=self._moment(cells.get("at", "")),
            status=cells.get("status", ""),
            reason=cells.get("reason", ""),
            carrier=cells.get("carrier", ""),
            carrier_id=cells.get("carrier_id", "").strip(),
            extension=cells.get("extension", "").strip(),
            files=tuple(FileRow(missing="CSV files have no files in them.") for _ in media),
        )

    def _moment(self, written: str) -> float | None:
        """A time in seconds since 1970, in ISO 8601, or in seconds or milliseconds since 1970."""
        text = written.strip()
        try:
            seconds = float(text)
        except ValueError:
            try:
                return self._local_time.read(text).timestamp()
            except (ValueError, OverflowError):
                return None
        if not isfinite(seconds):
            return None
        return seconds / 1000 if seconds > 1e11 else seconds

    def _read(
        self, part: str, field: Field, needed: Sequence[str]
    ) -> list[tuple[int, dict[str, str]]]:
        """The rows of a file by the names of their fields. Raises ``SourceError``."""
        path = self._files[part]
        if path is None:
            return []
        text = _decoded(path)
        first = text.lstrip("\r\n").partition("\n")[0]
        lines = StringIO(f"{text}\n{END}\n", newline="")
        rows = csv.reader(lines, delimiter=max(",;\t", key=first.count))
        limit = csv.field_size_limit(LONGEST_CELL)  # of the whole process
        try:
            titles = next((row for row in rows if any(cell.strip() for cell in row)), [])
            names = list(map(field, titles))
            for name in needed:
                if name not in names:
                    raise SourceError(f"{path}: no column is the {name}. {_columns(part)}")
            self._unknown += [title for title, name in zip(titles, names, strict=True) if not name]
            found = list[tuple[int, dict[str, str]]]()
            start = line = rows.line_num + 1
            for cells in rows:
                if cells == [END]:
                    return found
                if any(cell.strip() for cell in cells):
                    found.append((line, _by_name(names, cells)))
                start, line = line, rows.line_num + 1
            raise SourceError(
                f"{path}, line {start}: a quotation mark opens a cell there and none closes it, so "
                "that the rest of the file would be one cell. Correct it, and run this again."
            )
        except csv.Error as error:
            raise SourceError(f"{path}, line {rows.line_num}: {error}.") from None
        finally:
            csv.field_size_limit(limit)


def is_outbound(direction: str) -> bool:
    """Whether a direction, in any usual word, is that of a text that was sent."""
    return direction.strip().casefold() in OUTBOUND


def _by_name(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """The cells of a row by the names of their fields; of two columns the first with a value."""
    found = dict.fromkeys((name for name in names if name), "")
    for name, cell in zip(names, cells, strict=False):
        if name and not found[name]:
            found[name] = unescape_formula(cell)
    return found


def _titles(known: Titles) -> Field:
    by_title = {title: name for name, titles in known.items() for title in titles}
    return lambda title: by_title.get(re.sub("[^a-z]", "", title.casefold()), "")


def _columns(part: str) -> str:
    if part == "numbers":
        return f"The first line must name the columns: {', '.join(COLUMNS.values())}."
    if part == "contacts":
        return "The first line must name the columns: number, name and, if wanted, note."
    return (
        "The first line must name the columns: id, direction, from, to, text, at, status, "
        "extension, carrier, carrier_id."
    )


def _decoded(path: Path) -> str:
    """The text of a file. Raises ``SourceError`` if there is no such file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}.") from None
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    return clean(content.removeprefix(BOM_UTF8).decode(encoding, "replace"))

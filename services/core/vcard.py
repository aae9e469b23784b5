"""Contact cards: reads vCards of versions 2.1, 3.0 and 4.0, and writes 3.0 and 4.0.

Only what a contact here has is read: names, phone numbers, notes. Everything else is passed over,
and nothing that a file has in it raises an error.
https://www.rfc-editor.org/rfc/rfc6350 (4.0), https://www.rfc-editor.org/rfc/rfc2426 (3.0)
"""

import quopri
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Version = Literal["3.0", "4.0"]
MOST_HEAD = 2_000  # characters of a name and its parameters
LINE_BYTES = 75  # of a line that is written, without its end
_BEGIN = re.compile(r"BEGIN\s*:\s*VCARD\s*\Z", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PART = re.compile(r"(?:^|;)((?:\\.|[^;\\]|\\\Z)*)", re.DOTALL)
_SPACES = re.compile(r"\s+")


@dataclass(slots=True)
class Card:
    """A card of a file: the line (from 1) where it begins, and what stands in it, as written."""

    line: int
    full_name: str = ""
    parts_of_name: str = ""
    company: str = ""
    numbers: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def name(self) -> str:
        """What to call the person; old cards have no full name."""
        return self.full_name or self.parts_of_name or self.company


@dataclass(frozen=True, slots=True)
class _Property:
    """A property: its name in capitals, its parameters in capitals, its value as written."""

    name: str
    parameters: str
    value: str


def is_vcard(content: bytes) -> bool:
    """Whether a file begins as vCards do.

    >>> is_vcard(b"begin:vcard"), is_vcard(b"number,name")
    (True, False)
    """
    first = _decoded_file(content[:200]).lstrip().partition("\n")[0]
    return _BEGIN.match(first.strip()) is not None


def read_cards(content: bytes) -> Iterator[Card]:
    """The cards of a file, in their order; a last one without its end is read, too."""
    card: Card | None = None
    for line, text in _unfolded(_decoded_file(content)):
        if _BEGIN.match(text.strip()):
            if card is not None:
                yield card
            card = Card(line)
            continue
        found = _property(text) if card is not None else None
        if card is None or found is None:
            continue
        if found.name == "END":
            yield card
            card = None
        else:
            _take(card, found)
    if card is not None:
        yield card


def write_card(number: str, name: str, note: str, version: Version) -> str:
    """A card with one number (E.164, or another address).

    >>> write_card("+13035550177", "Ann Example", "", "3.0").split()[2:]
    ['FN:Ann', 'Example', 'N:;Ann', 'Example;;;', 'TEL;TYPE=CELL:+13035550177', 'END:VCARD']
    """
    plain = _escaped(number)
    if version == "3.0":
        tel = f"TEL;TYPE=CELL:{plain}"
    elif number.startswith("+"):
        tel = f"TEL;VALUE=uri;TYPE=cell:tel:{number}"
    else:
        tel = f"TEL;VALUE=text;TYPE=cell:{plain}"
    lines = ["BEGIN:VCARD", f"VERSION:{version}", f"FN:{_escaped(name)}"]
    lines += [f"N:;{_escaped(name)};;;", tel, *([f"NOTE:{_escaped(note)}"] if note else [])]
    return "".join(f"{folded}\r\n" for line in [*lines, "END:VCARD"] for folded in _folded(line))


def _take(card: Card, found: _Property) -> None:
    """Keep a property of a card; the first of each kind counts."""
    if found.name == "FN":
        card.full_name = card.full_name or _one_line(_value(found))
    elif found.name == "N":
        family, given, further, before, behind = [*_parts(found), "", "", "", "", ""][:5]
        ordered = (before, given, further, family, behind)
        card.parts_of_name = card.parts_of_name or _one_line(" ".join(ordered))
    elif found.name == "ORG":
        card.company = card.company or _one_line(" ".join(_parts(found)))
    elif found.name == "TEL":
        number = _number(_value(found))
        if number and number not in card.numbers:
            card.numbers.append(number)
    elif found.name == "NOTE":
        card.note = card.note or _value(found).strip()


def _parts(found: _Property) -> list[str]:
    return [_text(part, found) for part in _PART.findall(found.value)]


def _number(value: str) -> str:
    """A phone number, without the form of an address and without its extension at a PBX."""
    written = re.sub(r"^tel:", "", value.strip(), flags=re.IGNORECASE)
    return re.split(r";(?:ext|phone-context)=", written, flags=re.IGNORECASE)[0].strip()


def _property(line: str) -> _Property | None:
    """The property of an unfolded line, or ``None`` for a line that is none."""
    head, colon, value = _divided(line)
    if not colon:
        return None
    name, _, parameters = head.partition(";")
    # “item1.TEL” is a TEL of a group.
    return _Property(name.rpartition(".")[2].strip().upper(), parameters.upper(), value)


def _divided(line: str) -> tuple[str, str, str]:
    """A line around its first colon outside of quotation marks."""
    quoted = False
    for position, character in enumerate(line[:MOST_HEAD]):
        if character == '"':
            quoted = not quoted
        elif character == ":" and not quoted:
            return line[:position], ":", line[position + 1 :]
    return line.partition(":")


def _value(found: _Property) -> str:
    return _text(found.value, found)


def _text(written: str, found: _Property) -> str:
    """A value, or one part of it, decoded."""
    if "QUOTED-PRINTABLE" in found.parameters:
        charset = re.search(r"CHARSET=\"?([A-Z0-9_.:-]+)", found.parameters)
        content = quopri.decodestring(written.encode("utf-8", "surrogateescape"))
        return _decoded(content, charset[1] if charset else "utf-8")
    return _ESCAPED.sub(lambda sign: "\n" if sign[1] in "nN" else sign[1], written)


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset)
    except (UnicodeDecodeError, LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _decoded_file(content: bytes) -> str:
    """The text of a file; what is not UTF-8 is read as Windows' Western European characters."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """The lines with those that go on in the next ones put together, each with its number.

    A line goes on in one that begins with a space, and in quoted-printable after a “=” at its end.
    """
    parts: list[str] = []
    begin = 0
    soft = False
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if soft:
            soft = line.endswith("=")
            parts.append(line[:-1] if soft else line)
        elif line[:1] in (" ", "\t") and parts:
            parts.append(line[1:])
        else:
            if parts:
                yield begin, "".join(parts)
            begin = number
            soft = line.endswith("=") and "QUOTED-PRINTABLE" in line.partition(":")[0].upper()
            parts = [line[:-1] if soft else line]
    if parts:
        yield begin, "".join(parts)


def _one_line(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _escaped(text: str) -> str:
    for sign in ("\\", ",", ";"):
        text = text.replace(sign, f"\\{sign}")
    return re.sub(r"\r\n|\r|\n", r"\\n", text)


def _folded(line: str) -> Iterable[str]:
    """A line in pieces of at most ``LINE_BYTES`` bytes, cut between characters."""
    piece, size = "", 0
    for character in line:
        width = len(character.encode())
        if size + width > LINE_BYTES:
            yield piece
            piece, size = " ", 1
        piece += character
        size += width
    yield piece

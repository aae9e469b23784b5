"""Plan for names: contacts outside, and the people at the extensions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.core.errors import NumberError
from services.core.messages import clean
from services.core.phone_numbers import peer
from services.operations.migration.numbers import Outcome
from services.operations.migration.source import ContactRow
from services.store.contacts import Contact

LONGEST_CONTACT, LONGEST_PERSON = 100, 80
JOINERS = "\u200c\u200d"  # hold emoji and some scripts together
SHORTEST_NUMBER = 5  # digits; shorter ones are extensions inside the PBX


@dataclass(frozen=True, slots=True)
class ContactLine:
    """A row and what becomes of it."""

    row: ContactRow
    number: str
    name: str
    outcome: Outcome
    remark: str = ""


@dataclass(eq=False)
class ContactPlan:
    """What would be done with contacts. ``known`` are the stored names by number."""

    country: str
    known: Mapping[str, str]
    replaces: bool
    lines: list[ContactLine] = field(default_factory=list)

    @property
    def changes(self) -> list[Contact]:
        """The contacts to write."""
        wanted = (Outcome.ADDED, Outcome.CHANGED)
        return [Contact(one.number, one.name) for one in self.lines if one.outcome in wanted]

    def read(self, rows: Iterable[ContactRow]) -> None:
        """Plan all rows; of two with the same number the first counts."""
        seen: dict[str, ContactLine] = {}
        for row in rows:
            line = self._line(row)
            if line.outcome is not Outcome.LEFT_OUT and line.number in seen:
                first = seen[line.number]
                remark = f"{first.row.place} names this number “{first.name}”."
                line = ContactLine(row, line.number, line.name, Outcome.MERGED, remark)
            seen.setdefault(line.number, line)
            self.lines.append(line)

    def _line(self, row: ContactRow) -> ContactLine:
        name = one_line(row.name, LONGEST_CONTACT)
        try:
            number = self._number(row, name)
        except NumberError as error:
            return ContactLine(row, row.number, name, Outcome.LEFT_OUT, str(error))
        before = self.known.get(number)
        if before is None:
            return ContactLine(row, number, name, Outcome.ADDED)
        if before == name:
            return ContactLine(row, number, name, Outcome.UNCHANGED)
        outcome = Outcome.CHANGED if self.replaces else Outcome.KEPT
        return ContactLine(row, number, name, outcome, f"{before} → {name}")

    def _number(self, row: ContactRow, name: str) -> str:
        """The number of a contact with a name. Raises ``NumberError`` for one that is no use."""
        if not name:
            raise NumberError("It has no name.")
        if any(character.isalpha() for character in row.number):
            raise NumberError("A number has no letters.")
        if sum(character.isdigit() for character in row.number) < SHORTEST_NUMBER:
            raise NumberError("It has no number outside the PBX.")
        return peer(row.number, self.country)


def new_names(
    found: Mapping[str, str],
    extensions: Iterable[str],
    known: Mapping[str, Mapping[str, Any]],
    *,
    replaces: bool,
) -> dict[str, str]:
    """The names to write for these extensions; ``known`` is the part of Message Settings."""
    new = {}
    for extension in sorted(set(extensions)):
        name = one_line(found.get(extension, ""), LONGEST_PERSON)
        before = known.get(extension, {}).get("name")
        if name and name not in (extension, before) and (before is None or replaces):
            new[extension] = name
    return new


def one_line(text: str, most: int) -> str:
    """A name in one line without control characters, cut to so many characters."""
    visible = "".join(
        c if c.isprintable() or c.isspace() or c in JOINERS else " " for c in clean(text)
    )
    return " ".join(visible.split())[:most].strip()
